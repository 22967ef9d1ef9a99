# ruff: noqa: S101 -- a suite asserts
"""The tests that every provider passes before its own; it knows no vendor, and trusts no provider's word for it.

Writing a provider
------------------
1. One file, one class with the verbs of `base.System`; announce it as `registry` says.
2. A `Bench` for a real server (or the most faithful one there is): how to reach it, and how to find out *past the
   provider* whether an access can be used.
3. One test class a mode that it has, of the mixins that fit what its `capabilities` say::

        class TestOpenLdap(SharedConformance, ServerConformance):
            @pytest.fixture
            def bench(self, slapd): return LdapBench(slapd)

   `OwnConformance` (an account an order) or `SharedConformance` (an account that stood before), and in addition
   `RevealingConformance` where it hands out a secret, `closing.ClosingConformance` where it can close an account of
   an order that the books have lost, `connecting.ConnectingConformance` where it can tell how to get in,
   `extending.ProlongingConformance` where an end can be moved, and `server.ServerConformance` where it speaks TCP.
   They need pytest-asyncio. For readable failures, call
   ``pytest.register_assert_rewrite("providers.systems.conformance")`` before the import.
4. Of every provider these are owed as well; the bench says how its system is made to misbehave:

   - `hostile.HostileConformance`: what a holder does to stay leads nowhere (`Bench.hostile_acts`);
   - `failing.FailingStepConformance`: a lesser step of a revoke that fails keeps nobody in (`Bench.lesser_steps`);
   - `failover.FailoverConformance`: another server behind the same address is told from the one that granted
     (`Bench.elsewhere`, `Bench.seen_elsewhere`);
   - `rights.RightsConformance`: `check` finds each right that is missing (`Bench.rights`).

   A bench without these hooks fails; the sandbox's shows them at their smallest.

What is most often got wrong, and is tested here: a retry takes its own effect for standing access; a revoke takes
away what stood before; a live session outlives it; an account of the same name but of another hand is touched; a
call that was given up lands later; a secret shows in a receipt or an error; a note that cannot be written undoes
the step that shuts; a promoted replica, which never had the account, is taken for the server that closed it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from providers.systems.base import Closing, Order, Presence, Prior, Receipt, Refused, System
from providers.systems.conformance.bench import Bench, Lives, secret_of, seen, shut
from providers.systems.conformance.hazards import as_job, grant_and_die

__all__ = ["Bench", "Lives", "OwnConformance", "RevealingConformance", "SharedConformance", "SystemConformance"]


class SystemConformance:
    """What holds for each provider. The class that inherits gives a fixture ``bench``."""

    pytestmark = pytest.mark.asyncio

    @pytest_asyncio.fixture
    async def system(self, bench: Bench) -> AsyncIterator[System]:
        """The provider under test."""
        system = bench.build()
        yield system
        await system.close()

    @pytest_asyncio.fixture
    async def other(self, bench: Bench) -> AsyncIterator[System]:
        """The same provider, as another process has it after a crash."""
        system = bench.build()
        yield system
        await system.close()

    @pytest_asyncio.fixture
    async def order(self, bench: Bench, system: System) -> Order:
        """An order that nobody had before."""
        return await bench.order(system)

    async def test_check_reports_the_same_target_from_everywhere(self, system: System, other: System) -> None:
        first, second = await system.check(), await other.check()
        assert first.target
        assert first.target == second.target

    async def test_says_what_it_does_without_a_connection(self, bench: Bench) -> None:
        assert bench.provider.consequence(bench.params)
        assert bench.provider.capabilities(bench.params).own_principal in {True, False}
        assert bench.build().settles_within > 0

    async def test_a_grant_opens(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        assert not prior.present
        receipt = await system.grant(order, prior)
        assert receipt.ours
        assert await bench.usable(order, await secret_of(bench, system, order, receipt))
        assert await system.verify(order, receipt) is Presence.PRESENT
        await shut(bench, system, order, prior, receipt)

    async def test_a_second_grant_answers_the_same_receipt(
        self, bench: Bench, system: System, other: System, order: Order
    ) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        assert await other.grant(order, prior) == receipt
        assert await bench.usable(order, await secret_of(bench, other, order, receipt))
        await shut(bench, system, order, prior, receipt)

    async def test_a_receipt_survives_the_record(
        self, bench: Bench, system: System, other: System, order: Order
    ) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        prior = Prior.model_validate_json(prior.model_dump_json())
        receipt = Receipt.model_validate_json(receipt.model_dump_json())
        order = Order.model_validate_json(order.model_dump_json())
        assert await other.verify(order, receipt) is Presence.PRESENT
        await shut(bench, other, order, prior, receipt)

    async def test_a_second_revoke_succeeds(self, bench: Bench, system: System, other: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        await shut(bench, system, order, prior, receipt)
        await shut(bench, other, order, prior, receipt)

    async def test_a_revoke_of_what_never_was_succeeds(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        await shut(bench, system, order, prior, None)
        assert (await system.revoke(order, None, None)).presence is Presence.ABSENT

    async def test_a_grant_whose_process_was_killed_is_revoked_without_a_receipt(
        self, bench: Bench, system: System, order: Order
    ) -> None:
        prior = await system.inspect(order)
        await grant_and_die(as_job(bench.provider, bench.config(), order, prior))
        await shut(bench, system, order, prior, None)

    async def test_a_grant_whose_process_was_killed_is_granted_again(
        self, bench: Bench, system: System, order: Order
    ) -> None:
        prior = await system.inspect(order)
        await grant_and_die(as_job(bench.provider, bench.config(), order, prior))
        receipt = await system.grant(order, prior)
        assert receipt.ours, "a retry must not take its own effect for standing access"
        assert await bench.usable(order, await secret_of(bench, system, order, receipt))
        await shut(bench, system, order, prior, receipt)

    async def test_a_revoke_ends_live_sessions(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        lives = await bench.enter(order, await secret_of(bench, system, order, receipt))
        assert await lives()
        outcome = await shut(bench, system, order, prior, receipt)
        assert await lives() is not bench.provider.capabilities(order.params).kills_sessions
        assert outcome.killed >= 1

    async def test_an_order_for_another_target_is_refused(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        astray = order.model_copy(update={"target": "another-system"})
        for attempt in (
            lambda: system.inspect(astray),
            lambda: system.grant(astray, prior),
            lambda: system.revoke(astray, prior, receipt),
            lambda: system.verify(astray, receipt),
        ):
            with pytest.raises(Refused):
                await attempt()
        assert await system.verify(order, receipt) is Presence.PRESENT
        await shut(bench, system, order, prior, receipt)

    async def test_standing_tells_what_is_open_and_no_more(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        ours = [each for each in await system.list_access() if each.native == order.subject.native]
        assert ours
        if order.subject.own:
            assert {each.order for each in ours} == {order.id}
        await shut(bench, system, order, prior, receipt)
        assert not [each for each in await system.list_access() if each.native == order.subject.native]

    async def test_nothing_secret_shows(
        self, bench: Bench, system: System, order: Order, caplog: pytest.LogCaptureFixture
    ) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        secret = await secret_of(bench, system, order, receipt)
        hidden = [*bench.hidden, *([secret.password.get_secret_value()] if secret else [])]
        config = system.Config.model_validate(bench.config())
        told = [repr(config), str(config), repr(system), receipt.model_dump_json(), prior.model_dump_json()]
        told += [repr(secret), secret.how if secret else "", repr(await system.list_access()), caplog.text]
        told.append((await shut(bench, system, order, prior, receipt)).model_dump_json())
        assert not [word for word in hidden if any(word in text for text in told)]


class OwnConformance(SystemConformance):
    """For roles whose orders have an account of their own."""

    async def test_an_own_account_shares_nothing(self, bench: Bench, system: System, order: Order) -> None:
        assert order.subject.own
        assert bench.provider.capabilities(bench.params).own_principal
        assert not system.entitlements(order)

    async def test_two_orders_have_two_accounts(self, bench: Bench, system: System, order: Order) -> None:
        assert (await bench.order(system)).subject.native != order.subject.native

    async def test_an_account_of_another_hand_is_never_touched(
        self, bench: Bench, system: System, order: Order
    ) -> None:
        await bench.stand(order)
        with pytest.raises(Refused):
            await system.inspect(order)
        with pytest.raises(Refused):
            await system.grant(order, Prior(present=False))
        assert await system.verify(order, None) is Presence.FOREIGN
        assert (await system.revoke(order, Prior(present=False), None)).presence is Presence.FOREIGN
        assert await bench.stands(order)

    async def test_what_another_hand_changed_is_foreign(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        await bench.tamper(order)
        assert await system.verify(order, receipt) is Presence.FOREIGN
        await shut(bench, system, order, prior, receipt)


class SharedConformance(SystemConformance):
    """For roles that open something for an account that stood before."""

    async def test_the_prior_says_of_each_entitlement_whether_it_stood(
        self, bench: Bench, system: System, order: Order
    ) -> None:
        natives = system.entitlements(order)
        assert natives, "a shared account's order names what it shares"
        assert not order.subject.own
        assert (await system.inspect(order)).facts == dict.fromkeys(natives, False)
        await bench.stand(order)
        assert (await system.inspect(order)).facts == dict.fromkeys(natives, True)

    async def test_standing_access_is_kept(self, bench: Bench, system: System, order: Order) -> None:
        await bench.stand(order)
        prior = await system.inspect(order)
        assert prior.present
        receipt = await system.grant(order, prior)
        assert not receipt.ours
        outcome = await system.revoke(order, prior, receipt)
        assert outcome.presence is Presence.ABSENT
        assert outcome.kept
        assert await bench.stands(order)
        assert await bench.usable(order, None)

    async def test_the_same_access_has_the_same_key_and_another_has_not(
        self, bench: Bench, system: System, order: Order
    ) -> None:
        twin = await bench.order(system)
        other = await bench.order(system, bench.other_params)
        elsewhere = order.model_copy(update={"target": "another-system"})
        assert system.entitlements(twin) == system.entitlements(order)
        assert not set(system.entitlements(other)) & set(system.entitlements(order))
        assert not set(system.entitlements(elsewhere)) & set(system.entitlements(order))

    async def test_the_last_of_two_orders_closes(self, bench: Bench, system: System, order: Order) -> None:
        later = await bench.order(system)
        prior = await system.inspect(order)
        await system.grant(order, prior)
        # The later one learns from the earlier what stood before both; what it sees itself is our own effect.
        receipt = await system.grant(later, prior)
        assert receipt.ours
        assert await bench.usable(later, None)
        await shut(bench, system, later, prior, receipt)

    async def test_what_another_order_still_needs_is_kept(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        needed = prior.model_copy(update={"facts": dict.fromkeys(system.entitlements(order), True)})
        assert (await system.revoke(order, needed, receipt)).presence is Presence.ABSENT
        assert await bench.usable(order, None)
        await shut(bench, system, order, prior, receipt)

    async def test_without_a_prior_nothing_is_proved_ours(self, bench: Bench, system: System, order: Order) -> None:
        await bench.stand(order)
        await system.revoke(order, None, None)
        assert await bench.stands(order)

    async def test_what_it_shares_is_told_by_its_key_and_never_taken_for_an_orphan(
        self, bench: Bench, system: System, order: Order
    ) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        told = await seen(system, order)
        assert {each.order for each in told} == {None}, "a membership bears no mark, whoever gave it"
        assert {each.entitlement for each in told} & set(system.entitlements(order))
        if isinstance(system, Closing):
            for each in told:
                claimed = each.model_copy(update={"order": order.id})
                assert (await system.close_orphan(claimed)).presence is Presence.FOREIGN
        assert await bench.usable(order, None)
        await shut(bench, system, order, prior, receipt)


class RevealingConformance(SystemConformance):
    """For roles that hand out a secret."""

    async def test_a_second_secret_kills_the_first(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        first = await secret_of(bench, system, order, receipt)
        assert await bench.usable(order, first)
        lives = await bench.enter(order, first)
        assert await lives()
        second = await secret_of(bench, system, order, receipt)
        assert not await bench.usable(order, first)
        assert not await lives(), "whoever came in by the old secret is out"
        assert await bench.usable(order, second)
        await shut(bench, system, order, prior, receipt)
        assert not await bench.usable(order, second)

    async def test_a_grant_again_leaves_the_secret_alone(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        secret = await secret_of(bench, system, order, receipt)
        assert await system.grant(order, prior) == receipt
        assert await bench.usable(order, secret)
        await shut(bench, system, order, prior, receipt)

    async def test_no_secret_for_access_that_is_gone(self, bench: Bench, system: System, order: Order) -> None:
        prior = await system.inspect(order)
        receipt = await system.grant(order, prior)
        await shut(bench, system, order, prior, receipt)
        with pytest.raises(Refused):
            await secret_of(bench, system, order, receipt)
        assert await system.verify(order, receipt) is Presence.ABSENT
