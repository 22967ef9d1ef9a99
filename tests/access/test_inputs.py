"""Typed inputs from the form to the provider: what passes is what is granted, and nothing that was typed is text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.access import extend, review, submit
from bot.access.inputs import check_inputs
from bot.access.review import ReviewDecision
from bot.access.submit import RequestForm
from bot.core import ssh_keys
from bot.core.errors import AlreadyRequested, BadInput, CannotCombine, CannotExtend, RoleChanged
from bot.core.events import EVENT, Cancelled, Event
from bot.core.given_inputs import given_inputs, spelled, values
from bot.core.lifecycle import fold
from bot.core.request import Request, State, Verb
from bot.policy import inputs
from bot.policy.catalog import cannot_combine
from bot.store.store import Store
from tests.house import POLICY, House, catalog

PLAIN = "grants: {door: vault, secret: true}"
SHARED = "grants: {door: hall, shared: true}"


def policy(**more: str) -> str:
    """The policy whose shared role asks which door, and for a name; ``more``: what is replaced in it."""
    asks = "grants: {door: {ask: room}, shared: true}\n        asks: {room: {choice: [hall, attic, yard]}}"
    text = POLICY.replace(SHARED, asks)
    for old, new in more.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
async def house(store: Store) -> House:
    """An open house."""
    return await House(store, policy=catalog(policy())).open()


async def asked(house: House, **given_: str) -> Request:
    """Mia asks for a door."""
    return await house.ask(what="vault/shared", inputs=given_)


async def test_what_was_given_is_granted_and_in_the_record(house: House) -> None:
    request = await asked(house, room=" ATTIC ")
    role = request.legs[0].role
    assert role.params == {"door": "attic", "shared": True}
    assert role.consequence == "opens the sandbox door attic, can write"
    assert [(each.name, each.title, each.kind, each.value) for each in role.inputs] == [
        ("room", "Room", "choice", "attic")
    ]
    assert (spelled(request), values(request)) == ("room=attic", {"room": "attic"})
    await house.approve("dan", request.id)
    after = await house.attempted(request.id)
    assert after.state is State.ACTIVE
    assert after.legs[0].entitlements == ("sandbox/attic/mia@example.com",)
    assert house.sandbox.is_open("attic", "mia@example.com")
    assert not house.sandbox.is_open("hall", "mia@example.com")


async def test_roles_that_a_person_combines_are_given_their_inputs(house: House) -> None:
    request = await house.ask(what="vault/read-only + vault/shared", inputs={"room": "attic"})
    assert [leg.role.params["door"] for leg in request.legs] == ["vault", "attic"]
    with pytest.raises(BadInput):
        await house.ask(what="vault/shared + vault/read-only")


async def test_roles_that_mean_different_things_by_an_input_are_not_combined(store: Store) -> None:
    other = "grants: {door: {ask: room}, secret: true}\n        asks: {room: {choice: [vault, cellar]}}"
    house = await House(
        store, policy=catalog(policy(**{PLAIN: other, "[vault/read-only, vault/shared]": "[vault/read-only]"}))
    ).open()
    with pytest.raises(CannotCombine) as refused:
        await house.ask(what="vault/read-only + vault/shared", inputs={"room": "attic"})
    assert (refused.value.problem, refused.value.name) == ("differs", "room")
    assert await events(house) == []


async def test_roles_that_ask_for_more_than_a_form_can_have_are_not_combined(store: Store) -> None:
    """Whoever approves sees each of them on the card."""
    first, second = (", ".join(f'{a}{n}: {{pattern: "[a-z]+", example: x}}' for n in range(6)) for a in "ab")
    grants = [", ".join(f"{{ask: {a}{n}}}" for n in range(6)) for a in "ab"]
    role = "grants: {{prefixes: [{}], commands: [+get]}}\n        asks: {{{}}}"
    text = POLICY.replace("provider: sandbox", "provider: redis\n    config: {url: env:URL}")
    text = text.replace(PLAIN, role.format(grants[0], first)).replace(SHARED, role.format(grants[1], second))
    text = text.replace("grants: {door: safe}", role.format("x", "").rpartition("\n")[0])
    text = text.replace("[vault/read-only, vault/shared]", "[vault/read-only]")
    found = catalog(text)
    assert len(found.parts("vault/read-only + vault/shared")) == 2
    error = cannot_combine(found.parts("vault/read-only + vault/shared"))
    assert error
    assert error.problem == "inputs"


async def test_one_role_s_default_is_not_lent_to_another(store: Store) -> None:
    asks = "grants: {{door: {{ask: room}}, {kind}: true}}\n        asks: {{room: {{choice: [hall, attic]{default}}}}}"
    text = POLICY.replace(PLAIN, asks.format(kind="secret", default=", default: hall"))
    text = text.replace(SHARED, asks.format(kind="shared", default=""))
    house = await House(store, policy=catalog(text)).open()
    for what in ("vault/read-only + vault/shared", "vault/shared + vault/read-only", "both"):
        with pytest.raises(BadInput):
            await house.ask(what=what)


async def test_the_same_roles_in_another_order_are_the_same_request(house: House) -> None:
    first = await house.ask(what="vault/read-only + vault/shared", inputs={"room": "hall"})
    with pytest.raises(AlreadyRequested) as refused:
        await house.ask(what="vault/shared + vault/read-only", inputs={"room": "hall"})
    assert refused.value.request.id == first.id


async def events(house: House) -> list[Event]:
    """Of all requests, in order."""
    entries: Any = await house.store.redis.xrange(house.store.keys.audit)
    return [EVENT.validate_json(entry[b"event"]) for _, entry in entries if entry[b"version"] != b"0"]


async def test_the_events_tell_what_was_given(house: House) -> None:
    request = await asked(house, room="yard")
    found = await events(house)
    assert given_inputs(fold(found)) == given_inputs(request)
    assert fold(found) == request


async def test_a_record_from_before_there_were_inputs_is_the_same_record(house: House) -> None:
    request = await house.ask()
    [found] = await events(house)
    for model in (request, found):
        kept = model.model_dump_json()
        older = kept.replace(',"inputs":[]', "")
        assert older != kept
        assert type(model).model_validate_json(older) == model
    without = type(found).model_validate_json(found.model_dump_json().replace(',"inputs":[]', ""))
    assert fold([without]) == request


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({}, "missing"),
        ({"room": ""}, "missing"),
        ({"room": "cellar"}, "choice"),
        ({"room": "{ask: room}"}, "choice"),
        ({"room": "hall", "door": "safe"}, "unasked"),
    ],
)
async def test_what_will_not_do_is_refused_and_nothing_is_recorded(
    house: House, typed: dict[str, str], problem: str
) -> None:
    with pytest.raises(BadInput) as refused:
        await asked(house, **typed)
    assert refused.value.problem == problem
    assert await events(house) == []


async def test_a_role_that_asks_for_nothing_takes_nothing(house: House) -> None:
    with pytest.raises(BadInput, match="unasked"):
        await house.ask(inputs={"room": "hall"})
    assert (await house.ask()).legs[0].role.inputs == ()


async def test_the_same_for_another_value_is_another_request(house: House) -> None:
    first = await asked(house, room="hall")
    assert (await asked(house, room="attic")).id != first.id
    with pytest.raises(AlreadyRequested):
        await asked(house, room="Hall")


async def test_a_line_that_lacks_an_input_is_not_complete(house: House) -> None:
    form = RequestForm(what="vault/shared", duration=1800, reason="INC-1 why")
    mia = house.actor("mia")
    assert not (await submit.prepare(house.context, mia, form)).complete
    whole = form.model_copy(update={"inputs": {"room": "hall"}})
    assert (await submit.prepare(house.context, mia, whole)).complete
    house.policy = catalog(policy(**{"choice: [hall, attic, yard]": "choice: [hall, attic], default: hall"}))
    assert (await submit.prepare(house.context, mia, form)).complete


async def test_one_value_is_for_all_roles_of_a_template(store: Store) -> None:
    text = POLICY.replace(SHARED, "grants: {door: {ask: room}, shared: true}\n        asks: {room: {choice: [a, b]}}")
    text = text.replace(PLAIN, "grants: {door: {ask: room}}\n        asks: {room: {choice: [a, b]}}")
    house = await House(store, policy=catalog(text)).open()
    request = await house.ask(what="both", inputs={"room": "b"})
    assert [leg.role.params["door"] for leg in request.legs] == ["b", "b"]
    assert spelled(request) == "room=b"


async def decided(house: House, request: Request) -> None:
    """Dan approves."""
    await review.review(house.context, house.actor("dan"), request.id, ReviewDecision(verb=Verb.APPROVE))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("choice: [hall, attic, yard]", "choice: [hall, attic]"),
        ("choice: [hall, attic, yard]", 'pattern: "[a-x]+", example: hall'),
        ("{door: {ask: room}, shared: true}", "{door: {ask: room}}"),
        ("{ask: room}, shared: true}\n        asks: {room: ", "{ask: r}, shared: true}\n        asks: {r: "),
    ],
)
async def test_a_request_is_cancelled_when_its_role_would_not_grant_that_any_more(
    house: House, old: str, new: str
) -> None:
    request = await asked(house, room="yard")
    house.policy = catalog(policy(**{old: new}))
    await house.open()
    with pytest.raises(RoleChanged):
        await decided(house, request)
    assert (await house.now(request.id)).state is State.CANCELLED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("choice: [hall, attic, yard]", "choice: [yard, cellar], title: Which"),
        ("choice: [hall, attic, yard]", 'pattern: "[a-z]+", example: hall'),
    ],
)
async def test_a_change_that_still_takes_what_was_given_cancels_nothing(house: House, old: str, new: str) -> None:
    request = await asked(house, room="yard")
    house.policy = catalog(policy(**{old: new}))
    await house.open()
    await decided(house, request)
    assert (await house.now(request.id)).state is State.GRANTING
    assert (await house.now(request.id)).legs[0].role.params["door"] == "yard"


async def test_a_scheduled_start_and_an_extension_need_a_role_that_still_takes_it(house: House) -> None:
    now = await house.store.now()
    later = await house.ask(what="vault/shared", inputs={"room": "yard"}, starts_at=now + 3600)
    active = await asked(house, room="attic")
    for request in (later, active):
        await house.approve("dan", request.id)
    await house.attempted(active.id)
    house.policy = catalog(policy(**{"choice: [hall, attic, yard]": "choice: [hall, cellar]"}))
    await house.open()
    scheduled = await house.now(later.id)
    assert scheduled.state is State.SCHEDULED
    judged = await house.judge(scheduled, now + 3600)
    assert judged
    assert isinstance(judged[0], Cancelled)
    with pytest.raises(CannotExtend, match="changed"):
        await extend.extend(house.context, house.actor("mia"), active.id, 600, "INC-1 more")


async def test_a_key_is_kept_without_its_comment_and_shown_by_its_fingerprint(store: Store) -> None:
    text = POLICY.replace(
        SHARED, "grants: {door: {ask: key}, shared: true}\n        asks: {key: {ssh_public_key: true}}"
    )
    house = await House(store, policy=catalog(text)).open()
    request = await house.ask(what="vault/shared", inputs={"key": f"  {ssh_keys.EXAMPLE} mia@laptop"})
    assert request.legs[0].role.params["door"] == ssh_keys.EXAMPLE
    assert spelled(request).startswith("key=ssh-ed25519 SHA256:")


# what a provider says of a value that fits the policy's pattern

_POSTGRES = """grants: {member_of: [{ask: group}]}
        asks: {group: {pattern: "[a-z_ ;\\"-]+", example: app_readers}}"""


def on_postgresql(sensitivity: str = "high") -> tuple[Any, Any]:
    """A policy whose role asks for a role of PostgreSQL by a pattern; and that role."""
    text = POLICY.replace("provider: sandbox", 'provider: postgresql\n    config: {dsn: "env:DSN"}')
    text = text.replace(PLAIN, "grants: {member_of: [a]}").replace("grants: {door: safe}", "grants: {member_of: [b]}")
    text = text.replace(SHARED, f"{_POSTGRES}\n        sensitivity: {sensitivity}")
    found = catalog(text)
    return found, found.find("vault/shared")


@pytest.mark.parametrize("value", ["pg_signal_backend", "jit_someone"])
def test_what_the_provider_refuses_is_refused_when_it_is_typed(value: str) -> None:
    found, choice = on_postgresql()
    with pytest.raises(BadInput) as refused:
        check_inputs(found, choice, {"group": value})
    assert refused.value.problem == "refused"
    assert value in refused.value.why


@pytest.mark.parametrize("sensitivity", ["low", "medium"])
def test_what_reveals_secrets_of_the_system_is_no_harmless_role(sensitivity: str) -> None:
    found, choice = on_postgresql(sensitivity)
    assert check_inputs(found, choice, {"group": "app_readers"}) == {"group": "app_readers"}
    with pytest.raises(BadInput, match="refused"):
        check_inputs(found, choice, {"group": "pg_read_all_data"})
    found, choice = on_postgresql("high")
    assert check_inputs(found, choice, {"group": "pg_read_all_data"}) == {"group": "pg_read_all_data"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80) | st.text(alphabet='app_readers ;"-', max_size=80))
def test_whatever_is_typed_a_provider_gets_a_value_that_passed_or_nothing(text: str) -> None:
    found, choice = on_postgresql()
    shape = choice.inputs["group"]
    try:
        passed = check_inputs(found, choice, {"group": text})["group"]
    except BadInput:
        return
    assert shape.takes(passed)
    role = submit.snapshot(found, "vault", "shared", lambda *_: "", lambda *_: False, {"group": passed})
    assert role.params == {"member_of": [passed]}
    assert inputs.checked(choice.inputs, choice.name, {"group": passed}) == {"group": passed}
