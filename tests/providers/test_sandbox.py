"""The provider ``sandbox``, in memory and in a directory that outlives its processes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from providers.systems.base import Order, Presence, Principal, Prior, Refused, Secret, System, Unsure
from providers.systems.conformance.bench import BotRight, HostileAct, LesserStep, new_order
from providers.systems.conformance.closing import ClosingConformance
from providers.systems.conformance.connecting import ConnectingConformance
from providers.systems.conformance.extending import ExtendingConformance
from providers.systems.conformance.failing import FailingStepConformance
from providers.systems.conformance.failover import FailoverConformance
from providers.systems.conformance.hazards import as_job, grant_and_die
from providers.systems.conformance.hostile import HostileConformance
from providers.systems.conformance.rights import RightsConformance
from providers.systems.conformance.suite import (
    Bench,
    Lives,
    OwnConformance,
    RevealingConformance,
    SharedConformance,
)
from providers.systems.sandbox import Sandbox, SandboxConfig


class SandboxBench(Bench):
    """A directory of doors."""

    provider = Sandbox
    params: Mapping[str, Any] = {"door": "lab", "secret": True}
    other_params: Mapping[str, Any] = {"door": "vault"}

    def __init__(self, path: Path) -> None:
        """All shut."""
        self.path = path / "doors"
        self.path.mkdir()
        self.looking = Sandbox(SandboxConfig(path=str(self.path)))
        self.other = Sandbox(SandboxConfig(path=str(path / "other"), id="another sandbox"))

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        """The directory."""
        return {"path": str(self.path)}

    async def usable(self, order: Order, secret: Secret | None) -> bool:
        """Look."""
        return self.looking.is_open(order.params["door"], order.subject.native, _password(secret))

    async def enter(self, order: Order, secret: Secret | None) -> Lives:
        """Go in."""
        door, account = order.params["door"], order.subject.native
        session = self.looking.enter(door, account, _password(secret))

        async def lives() -> bool:
            return self.looking.is_inside(door, account, session)

        return lives

    async def stand(self, order: Order) -> None:
        """By hand."""
        self.looking.open_by_hand(order.params["door"], order.subject.native)

    async def stands(self, order: Order) -> bool:
        """Whether it is open."""
        return self.looking.is_open(order.params["door"], order.subject.native)

    async def tamper(self, order: Order) -> None:
        """Take the account over."""
        self.looking.open_by_hand(order.params["door"], order.subject.native)

    def hostile_acts(self) -> Sequence[HostileAct]:
        """All that a holder can do here."""
        return [HostileAct("comes in often, and hands the password on", self._crowd)]

    async def _crowd(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        async def again() -> bool:
            return await self.usable(order, secret)

        return [again, *[await self.enter(order, secret) for _ in range(5)]]

    def lesser_steps(self) -> Sequence[LesserStep]:
        """The log, in whose place a directory is put."""

        async def fail(_: Order) -> None:
            (self.path / "log").mkdir()

        async def mend(_: Order) -> None:
            (self.path / "log").rmdir()

        return [LesserStep("the log", fail, mend, "the log could not be written")]

    def rights(self) -> Sequence[BotRight]:
        """A file that lets the bot do all but one thing."""
        verbs = ("inspect", "grant", "revoke", "verify", "list_access", "reveal", "extend", "close")
        return [self._right(verb, [each for each in verbs if each != verb]) for verb in verbs]

    def _right(self, verb: str, left: list[str]) -> BotRight:
        file = self.path / "rights.json"

        async def take() -> None:
            file.write_text(json.dumps(left))

        async def give() -> None:
            file.unlink()

        return BotRight(f'add "{verb}" to rights.json', take, give)

    def elsewhere(self) -> Sandbox:
        """Another directory, which says that it is another sandbox."""
        return self.other

    async def seen_elsewhere(self) -> object:
        """Its doors."""
        return await self.other.list_access()


class SharedSandboxBench(SandboxBench):
    """Doors for the accounts that people have."""

    params: Mapping[str, Any] = {"door": "lab", "shared": True}
    other_params: Mapping[str, Any] = {"door": "vault", "shared": True}


class OwedConformance(HostileConformance, FailingStepConformance, FailoverConformance, RightsConformance):
    """What every provider owes."""


class TestOwn(
    OwnConformance,
    RevealingConformance,
    ClosingConformance,
    ConnectingConformance,
    ExtendingConformance,
    OwedConformance,
):
    """Accounts of the orders' own."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> SandboxBench:
        """A directory of the test's."""
        return SandboxBench(tmp_path)

    async def test_what_another_hand_changed_is_foreign(self, bench: Bench, system: System, order: Order) -> None:
        """Taken over here means that the mark is gone as well, so the revoke leaves it alone."""
        receipt = await system.grant(order, await system.inspect(order))
        await bench.tamper(order)
        assert await system.verify(order, receipt) is Presence.FOREIGN
        assert (await system.revoke(order, Prior(present=False), receipt)).presence is Presence.FOREIGN


class TestShared(SharedConformance, ConnectingConformance, ExtendingConformance, OwedConformance):
    """Accounts that stood before."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> SharedSandboxBench:
        """A directory of the test's."""
        return SharedSandboxBench(tmp_path)


async def test_a_verb_that_the_directory_does_not_allow_is_refused(tmp_path: Path) -> None:
    system = sandbox(path=str(tmp_path))
    order = await new_order(system, {"door": "lab"})
    (tmp_path / "rights.json").write_text(json.dumps(["revoke"]))
    with pytest.raises(Refused, match=r'add "grant" to rights\.json'):
        await system.grant(order, Prior(present=False))
    assert not stands(system, order)
    assert (await system.revoke(order, None, None)).presence is Presence.ABSENT


def sandbox(*faults: Mapping[str, Any], **config: object) -> Sandbox:
    return Sandbox(SandboxConfig.model_validate({"faults": faults, **config}))


async def opened(system: Sandbox, order: Order) -> bool:
    """Whether a grant is said to have opened the door."""
    try:
        await system.grant(order, Prior(present=False))
    except (Refused, Unsure):
        return False
    return True


def stands(system: Sandbox, order: Order) -> bool:
    return system.is_open("lab", order.subject.native)


@pytest.mark.parametrize(
    ("does", "kind", "lands"),
    [
        ("refuse", Refused, False),
        ("unsure", Unsure, False),
        ("crash before", Unsure, False),
        ("crash after", Unsure, True),
    ],
)
async def test_a_scripted_failure_happens_once(does: str, kind: type[Exception], lands: bool) -> None:
    system = sandbox({"verb": "grant", "does": does, "times": 1})
    order = await new_order(system, {"door": "lab"})
    with pytest.raises(kind):
        await system.grant(order, Prior(present=False))
    assert stands(system, order) is lands
    await system.grant(order, Prior(present=False))
    assert stands(system, order)


async def test_a_late_effect_lands_when_told() -> None:
    system = sandbox({"verb": "grant", "does": "late"})
    order = await new_order(system, {"door": "lab"})
    assert not await opened(system, order)
    await system.revoke(order, Prior(present=False), None)
    assert not stands(system, order)
    assert system.land() == 1
    assert stands(system, order)
    await system.revoke(order, Prior(present=False), None)
    assert not stands(system, order)


async def test_a_late_effect_lands_by_itself() -> None:
    system = sandbox({"verb": "grant", "does": "late", "seconds": 0.01})
    order = await new_order(system, {"door": "lab"})
    assert not await opened(system, order)
    async with asyncio.timeout(30):
        while not stands(system, order):  # noqa: ASYNC110  # the sandbox tells nobody when it lands
            await asyncio.sleep(0.005)


async def test_a_late_effect_of_a_process_that_was_stopped_meanwhile_lands_no_more() -> None:
    """As with a real server: what its provider promises to have settled by then has settled."""
    system = sandbox({"verb": "grant", "does": "late", "seconds": 0.02}, settles_within=0.05)
    order = await new_order(system, {"door": "lab"})
    assert not await opened(system, order)
    time.sleep(0.1)  # noqa: ASYNC251  # the process is stopped: its loop turns no more
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, over.set)
    await over.wait()
    assert not stands(system, order)


async def test_a_slow_answer_comes_or_is_given_up_in_time() -> None:
    slow = sandbox({"verb": "grant", "does": "slow", "seconds": 0.01})
    assert await opened(slow, await new_order(slow, {"door": "lab"}))
    too_slow = sandbox({"verb": "grant", "does": "slow", "seconds": 60}, settles_within=0.01)
    order = await new_order(too_slow, {"door": "lab"})
    assert not await opened(too_slow, order)
    assert not stands(too_slow, order)


async def test_the_same_seed_fails_the_same_calls() -> None:
    async def drawn(seed: int) -> list[bool]:
        system = sandbox({"verb": "grant", "does": "refuse", "share": 0.3}, seed=seed)
        order = await new_order(system, {"door": "lab"})
        return [await opened(system, order) for _ in range(200)]

    first = await drawn(7)
    assert first == await drawn(7)
    assert first != await drawn(8)
    assert 100 < sum(first) < 180


async def test_a_fault_of_one_door_leaves_the_others() -> None:
    system = sandbox({"verb": "any", "does": "refuse", "door": "vault"})
    assert await opened(system, await new_order(system, {"door": "lab"}))


async def test_a_process_is_killed_once_by_a_script_that_all_processes_share(tmp_path: Path) -> None:
    config = {"path": str(tmp_path)}
    system = Sandbox(SandboxConfig.model_validate(config))
    order = await new_order(system, {"door": "lab"})
    script = [{"verb": "grant", "does": "crash before", "times": 1}]
    (tmp_path / "faults.json").write_text(json.dumps(script))
    await grant_and_die(as_job(Sandbox, config, order, Prior(present=False)))
    assert not stands(system, order)
    await system.grant(order, Prior(present=False))
    assert stands(system, order)


async def test_a_person_with_no_account_or_two_is_refused() -> None:
    system = sandbox(accounts={"kim@example.com": ["kim", "kim2"]})
    for email in ("kim@example.com", "sam@example.com"):
        person = Principal(key=email, email=email)
        with pytest.raises(Refused, match="exactly one"):
            await system.resolve(person, {"door": "lab", "shared": True}, "J-7K3Q.0")


async def test_a_name_of_any_kind_stays_in_the_directory(tmp_path: Path) -> None:
    system = sandbox(path=str(tmp_path / "in"))
    doors = ["../out", "..", "a/b", ".", "ü x"]
    for door in doors:
        order = await new_order(system, {"door": door})
        await system.grant(order, Prior(present=False))
        assert system.is_open(door, order.subject.native)
    assert sorted(each.entitlement for each in await system.list_access()) == sorted(doors)
    assert names_in(tmp_path) == ["in"]


def names_in(path: Path) -> list[str]:
    return [each.name for each in path.iterdir()]


def _password(secret: Secret | None) -> str | None:
    return secret.password.get_secret_value() if secret else None


def test_doors_in_memory_are_another_processs_own_and_those_in_a_directory_are_everybodys(tmp_path: Path) -> None:
    assert "give it a `path` in its config" in Sandbox(SandboxConfig()).in_memory
    assert Sandbox(SandboxConfig(path=str(tmp_path))).in_memory == ""


def test_a_tilde_is_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Sandbox(SandboxConfig(path="~/doors")).open_by_hand("lab", "mia")
    assert Sandbox(SandboxConfig(path=str(tmp_path / "doors"))).is_open("lab", "mia")
