"""Modals open by a trigger, stack three deep and keep what was filled in; a Home tab belongs to one person."""

from __future__ import annotations

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import LocalSlack
from tests.playground.conftest import Clock, asks, modal, option, plain, refused, section, select, typed


@pytest.fixture
def trigger(slack: LocalSlack) -> str:
    return slack.world.trigger("UMIA")


async def test_a_trigger_opens_one_view_for_its_person(client: AsyncWebClient, slack: LocalSlack, trigger: str) -> None:
    opened = (await client.views_open(trigger_id=trigger, view=modal(private_metadata="J-1")))["view"]
    view = await slack.person("UMIA").sees_view("ask")
    assert (view.id, view.root, view.body["private_metadata"]) == (opened["id"], opened["root_view_id"], "J-1")
    assert slack.person("UDAN").view is None
    again = client.views_open(trigger_id=trigger, view=modal())
    assert (await refused(again))["error"] == "exchanged_trigger_id"


@pytest.mark.parametrize(("age", "error"), [(3.0, None), (3.1, "expired_trigger_id")])
async def test_a_trigger_lives_three_seconds(
    client: AsyncWebClient, clock: Clock, trigger: str, age: float, error: str | None
) -> None:
    clock.now += age
    call = client.views_open(trigger_id=trigger, view=modal())
    if error:
        assert (await refused(call))["error"] == error
    else:
        await call


async def test_an_unknown_trigger_is_refused(client: AsyncWebClient) -> None:
    call = client.views_open(trigger_id="1.2.abc", view=modal())
    assert (await refused(call))["error"] == "invalid_trigger_id"


async def test_a_refused_view_does_not_use_the_trigger(client: AsyncWebClient, trigger: str) -> None:
    await refused(client.views_open(trigger_id=trigger, view=modal(title=plain(""))))
    await client.views_open(trigger_id=trigger, view=modal())


async def test_three_views_are_the_most_in_a_stack(client: AsyncWebClient, slack: LocalSlack) -> None:
    mia = slack.person("UMIA")
    nothing = client.views_push(trigger_id=slack.world.trigger("UMIA"), view=modal())
    assert (await refused(nothing))["error"] == "not_found"
    first = (await client.views_open(trigger_id=slack.world.trigger("UMIA"), view=modal()))["view"]
    for name in ("second", "third"):
        pushed = await client.views_push(trigger_id=slack.world.trigger("UMIA"), view=modal(callback_id=name))
        assert pushed["view"]["root_view_id"] == first["id"]
    assert pushed["view"]["previous_view_id"] != first["id"]
    fourth = client.views_push(trigger_id=slack.world.trigger("UMIA"), view=modal())
    assert (await refused(fourth))["error"] == "push_limit_reached"
    await mia.close_view(await mia.sees_view("third"))
    await mia.close_view(await mia.sees_view("second"))
    assert mia.view
    assert mia.view.id == first["id"]


async def test_an_update_keeps_what_was_filled_in_where_the_input_stays(
    client: AsyncWebClient, slack: LocalSlack, trigger: str
) -> None:
    mia = slack.person("UMIA")
    before = modal(asks(typed(), "why"), asks(typed(action_id="old"), "gone"))
    opened = (await client.views_open(trigger_id=trigger, view=before))["view"]
    view = await mia.sees_view("ask")
    mia.fill(view, {"words": "INC-1", "gone": "lost"})
    after = modal(asks(typed(), "why"), asks(select(option("1h"), initial_option=option("1h")), "length"))
    updated = (await client.views_update(view_id=opened["id"], hash=opened["hash"], view=after))["view"]
    assert updated["hash"] != opened["hash"]
    values = mia.submission(view)["view"]["state"]["values"]
    assert values == {
        "why": {"words": {"type": "plain_text_input", "value": "INC-1"}},
        "length": {"pick": {"type": "static_select", "selected_option": option("1h")}},
    }


async def test_an_update_with_an_old_hash_is_refused(client: AsyncWebClient, slack: LocalSlack, trigger: str) -> None:
    opened = (await client.views_open(trigger_id=trigger, view=modal()))["view"]
    await client.views_update(view_id=opened["id"], hash=opened["hash"], view=modal(section("a")))
    late = client.views_update(view_id=opened["id"], hash=opened["hash"], view=modal(section("b")))
    assert (await refused(late))["error"] == "hash_conflict"
    view = slack.person("UMIA").view
    assert view
    assert "a" in view.said()


async def test_a_closed_or_unknown_view_cannot_be_updated(
    client: AsyncWebClient, slack: LocalSlack, trigger: str
) -> None:
    mia = slack.person("UMIA")
    opened = (await client.views_open(trigger_id=trigger, view=modal()))["view"]
    assert (await refused(client.views_update(view_id="V0NONE", view=modal())))["error"] == "not_found"
    await mia.close_view(await mia.sees_view("ask"))
    assert (await refused(client.views_update(view_id=opened["id"], view=modal())))["error"] == "not_found"
    assert (await refused(client.api_call("views.update", json={"view": modal()})))["error"] == "invalid_arguments"


async def test_an_external_id_names_one_view(client: AsyncWebClient, slack: LocalSlack, trigger: str) -> None:
    await client.views_open(trigger_id=trigger, view=modal(external_id="mine"))
    other = client.views_open(trigger_id=slack.world.trigger("UDAN"), view=modal(external_id="mine"))
    assert (await refused(other))["error"] == "duplicate_external_id"
    updated = await client.views_update(external_id="mine", view=modal(section("found"), external_id="mine"))
    assert updated["ok"]
    view = await slack.person("UMIA").sees_view("ask")
    assert "found" in view.said()


async def test_a_home_tab_is_published_for_one_person(client: AsyncWebClient, slack: LocalSlack) -> None:
    mia = slack.person("UMIA")
    first = (await client.views_publish(user_id="UMIA", view={"type": "home", "blocks": [section("one")]}))["view"]
    await mia.sees_home(lambda home: "one" in home.said())
    assert mia.view is None
    assert slack.person("UDAN").home is None
    home = {"type": "home", "blocks": [section("two")]}
    second = (await client.views_publish(user_id="UMIA", view=home, hash=first["hash"]))["view"]
    assert second["id"] == first["id"]
    late = client.views_publish(user_id="UMIA", view=home, hash=first["hash"])
    assert (await refused(late))["error"] == "hash_conflict"
    await mia.sees_home(lambda home: "two" in home.said())


async def test_accepted_payloads_are_recorded(client: AsyncWebClient, slack: LocalSlack, trigger: str) -> None:
    opened = (await client.views_open(trigger_id=trigger, view=modal(section("a"))))["view"]
    await client.views_update(view_id=opened["id"], view=modal(section("b")))
    await refused(client.views_update(view_id=opened["id"], view=modal(section(""))))
    assert [body for _, body in slack.payloads] == [modal(section("a")), modal(section("b"))]
