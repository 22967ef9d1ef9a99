"""People type, click, choose and submit, and a real Bolt app receives it, over HTTP and over Socket Mode."""

from __future__ import annotations

from typing import Any

import pytest
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import BadAnswer, LocalSlack, Message, NotThere, SlackRefusal, View
from tests.playground.conftest import (
    CHANNEL,
    Json,
    actions,
    asks,
    button,
    modal,
    option,
    plain,
    section,
    select,
    typed,
)

pytestmark = pytest.mark.usefixtures("town")


@pytest.fixture
def heard(bolt: AsyncApp) -> list[Json]:
    """Every payload that the app acknowledges with nothing to say."""
    heard: list[Json] = []

    async def hear(ack: AsyncAck, body: Json) -> None:
        heard.append(body)
        await ack()

    bolt.action("go")(hear)
    bolt.action("pick")(hear)
    bolt.view_closed("ask")(hear)
    bolt.event("app_home_opened")(hear)
    bolt.event("user_change")(hear)
    bolt.event("subteam_updated")(hear)
    bolt.event("subteam_members_changed")(hear)
    return heard


def answers(bolt: AsyncApp, **answer: Any) -> list[Json]:
    """Have the app answer submissions so; what it hears."""
    heard: list[Json] = []

    async def hear(ack: AsyncAck, body: Json) -> None:
        heard.append(body)
        await ack(**answer)

    bolt.view("ask")(hear)
    return heard


async def opened(live: LocalSlack, client: AsyncWebClient, view: Json) -> View:
    """The view, before Mia."""
    await client.views_open(trigger_id=live.world.trigger("UMIA"), view=view)
    return await live.person("UMIA").sees_view("ask")


async def carded(live: LocalSlack, client: AsyncWebClient, *elements: Json) -> Message:
    """A message with these elements."""
    await client.chat_postMessage(channel=CHANNEL, text="card", blocks=[actions(*elements)])
    return live.messages(CHANNEL)[-1]


async def test_a_command_is_delivered_and_only_its_sender_sees_the_answer(live: LocalSlack, bolt: AsyncApp) -> None:
    heard: list[Json] = []

    @bolt.command("/jit")
    async def jit(ack: AsyncAck, body: Json) -> None:
        heard.append(body)
        await ack(f"you said {body['text']}")

    reply = await live.person("UMIA").command("/jit", "request db 30m", CHANNEL)
    assert (reply.status, reply.text) == (200, "you said request db 30m")
    assert [m.text for m in live.person("UMIA").ephemerals] == ["you said request db 30m"]
    assert live.messages(CHANNEL) == []
    wanted = {"team_id": live.team, "user_id": "UMIA", "channel_id": CHANNEL, "channel_name": "town", "command": "/jit"}
    assert wanted.items() <= heard[0].items()
    assert {"trigger_id", "response_url", "api_app_id", "is_enterprise_install"} <= heard[0].keys()


async def test_a_command_can_answer_the_channel_later_and_with_a_modal(live: LocalSlack, bolt: AsyncApp) -> None:
    @bolt.command("/jit")
    async def jit(ack: AsyncAck, respond: AsyncRespond, client: AsyncWebClient, body: Json) -> None:
        await client.views_open(trigger_id=body["trigger_id"], view=modal())
        await respond("hello all", response_type="in_channel")
        await ack()

    reply = await live.person("UMIA").command("/jit", channel=CHANNEL)
    assert (reply.status, reply.text) == (200, "")
    assert (await live.person("UMIA").sees_view("ask")).open
    assert [m.text for m in live.messages(CHANNEL)] == ["hello all"]


async def test_a_click_names_person_button_and_place(live: LocalSlack, bolt: AsyncApp, heard: list[Json]) -> None:
    card = await carded(live, bolt.client, button(value="J-1"))
    live.add_person("UEXT", "Xena", kind="external")
    live.world.channels[CHANNEL].members.add("UEXT")
    assert (await live.person("UEXT").click(card, "go")).status == 200
    (click,) = heard
    assert (click["type"], click["user"]["id"]) == ("block_actions", "UEXT")
    assert (click["team"]["id"], click["user"]["team_id"]) == (live.team, "T0ELSEWHR")
    assert (click["channel"]["id"], click["message"]["ts"], click["container"]["type"]) == (CHANNEL, card.ts, "message")
    (pressed,) = click["actions"]
    assert (pressed["action_id"], pressed["block_id"], pressed["value"]) == ("go", "acts", "J-1")


async def test_only_what_a_person_sees_can_be_clicked(live: LocalSlack, bolt: AsyncApp, heard: list[Json]) -> None:
    card = await carded(live, bolt.client, button())
    with pytest.raises(NotThere, match="UZOE is not in"):
        await live.person("UZOE").click(card, "go")
    with pytest.raises(NotThere, match="there is no stop here; there is go"):
        await live.person("UMIA").click(card, "stop")
    with pytest.raises(NotThere):
        await live.person("UZOE").command("/jit", channel=CHANNEL)
    await bolt.client.chat_postEphemeral(channel=CHANNEL, user="UMIA", text="x", blocks=[actions(button())])
    (only_hers,) = live.person("UMIA").ephemerals
    with pytest.raises(NotThere, match="only UMIA sees"):
        await live.person("UDAN").click(only_hers, "go")
    assert heard == []
    await live.person("UMIA").click(only_hers, "go")
    assert heard[0]["container"]["is_ephemeral"] is True
    assert "message" not in heard[0]


async def test_a_kept_message_gives_a_stale_click(live: LocalSlack, bolt: AsyncApp, heard: list[Json]) -> None:
    stale = await carded(live, bolt.client, button(value="old"))
    await bolt.client.chat_update(channel=CHANNEL, ts=stale.ts, text="decided", blocks=[])
    now = await live.sees(CHANNEL, lambda m: m.text == "decided")
    with pytest.raises(NotThere):
        await live.person("UMIA").click(now, "go")
    await live.person("UMIA").click(stale, "go")
    assert (heard[0]["message"]["text"], heard[0]["actions"][0]["value"]) == ("card", "old")


async def test_the_value_tells_buttons_with_one_id_apart(live: LocalSlack, bolt: AsyncApp, heard: list[Json]) -> None:
    blocks = [section(accessory=button(value="J-1")), section(accessory=button(value="J-2"))]
    await bolt.client.chat_postMessage(channel=CHANNEL, text="two", blocks=blocks)
    card = live.messages(CHANNEL)[0]
    await live.person("UMIA").click(card, "go", value="J-2")
    assert heard[0]["actions"][0]["value"] == "J-2"
    with pytest.raises(NotThere, match="J-3"):
        await live.person("UMIA").click(card, "go", value="J-3")


async def test_a_choice_in_a_message_is_delivered(live: LocalSlack, bolt: AsyncApp, heard: list[Json]) -> None:
    overflow = {"type": "overflow", "action_id": "go", "options": [option("a"), option("b")]}
    card = await carded(live, bolt.client, select(option("1h"), option("4h")), overflow)
    mia = live.person("UMIA")
    await mia.choose(card, "pick", "4h")
    await mia.choose(card, "go", "b")
    assert [body["actions"][0]["selected_option"]["value"] for body in heard] == ["4h", "b"]
    assert heard[0]["state"]["values"]["acts"]["pick"]["selected_option"]["value"] == "4h"
    with pytest.raises(NotThere, match="no option 9h at pick; there are 1h, 4h"):
        await mia.choose(card, "pick", "9h")
    with pytest.raises(NotThere, match="choose something"):
        await mia.click(card, "pick")


async def test_a_choice_in_a_modal_is_delivered_only_where_it_dispatches(
    live: LocalSlack, bolt: AsyncApp, heard: list[Json]
) -> None:
    silent = asks(select(option("1h"), action_id="quiet"), "quiet")
    view = await opened(
        live, bolt.client, modal(silent, asks(select(option("db")), dispatch_action=True), asks(typed(), "why"))
    )
    mia = live.person("UMIA")
    mia.fill(view, {"why": "INC-1"})
    await mia.choose(view, "quiet", "1h")
    assert heard == []
    await mia.choose(view, "pick", "db")
    values = heard[0]["view"]["state"]["values"]
    assert values["why"]["words"]["value"] == "INC-1"
    assert values["quiet"]["quiet"]["selected_option"]["value"] == "1h"
    assert values["asked"]["pick"]["selected_option"]["value"] == "db"


async def test_a_submission_has_what_was_filled_in_and_the_initial_values(live: LocalSlack, bolt: AsyncApp) -> None:
    heard = answers(bolt)
    boxes = {"type": "checkboxes", "action_id": "boxes", "options": [option("a"), option("b")]}
    inputs = {
        "words": typed(),
        "given": typed(initial_value="as it was", action_id="given"),
        "boxes": boxes,
        "day": {"type": "datepicker", "action_id": "day"},
        "who": {"type": "users_select", "action_id": "who", "initial_user": "UDAN"},
        "none": typed(action_id="none"),
    }
    blocks = [asks(element, f"block-{name}", optional=name == "none") for name, element in inputs.items()]
    view = await opened(live, bolt.client, modal(*blocks, private_metadata="J-1"))
    mia = live.person("UMIA")
    reply = await mia.submit(view, {"words": "INC-1", "boxes": ["b"], "block-day": "2027-01-31"})
    assert (reply.status, reply.errors, mia.view) == (200, {}, None)
    shown = heard[0]["view"]
    assert (shown["id"], shown["private_metadata"], shown["callback_id"]) == (view.id, "J-1", "ask")
    found = {block.removeprefix("block-"): inner for block, inner in shown["state"]["values"].items()}
    assert found["words"]["words"]["value"] == "INC-1"
    assert found["given"]["given"]["value"] == "as it was"
    assert [o["value"] for o in found["boxes"]["boxes"]["selected_options"]] == ["b"]
    assert found["day"]["day"]["selected_date"] == "2027-01-31"
    assert found["who"]["who"]["selected_user"] == "UDAN"
    assert found["none"]["none"]["value"] is None


async def test_what_slack_s_own_client_refuses_never_reaches_the_app(live: LocalSlack, bolt: AsyncApp) -> None:
    heard = answers(bolt)
    view = await opened(live, bolt.client, modal(asks(typed(min_length=3, max_length=5), "why")))
    mia = live.person("UMIA")
    with pytest.raises(NotThere, match="words is required"):
        await mia.submit(view)
    for text in ("xx", "xxxxxx"):
        with pytest.raises(NotThere, match="3 to 5 characters"):
            await mia.submit(view, {"why": text})
    with pytest.raises(NotThere, match="there is no where"):
        await mia.submit(view, {"where": "x"})
    with pytest.raises(NotThere, match="not open for UDAN"):
        await live.person("UDAN").submit(view, {"why": "xxxx"})
    assert heard == []


async def test_errors_are_shown_at_their_inputs_and_the_modal_stays_open(live: LocalSlack, bolt: AsyncApp) -> None:
    answers(bolt, response_action="errors", errors={"why": "Please give a reason"})
    view = await opened(live, bolt.client, modal(asks(typed(), "why")))
    reply = await live.person("UMIA").submit(view, {"why": "."})
    assert reply.errors == {"why": "Please give a reason"}
    assert live.person("UMIA").view is view


async def test_errors_without_an_input_are_the_app_s_mistake(live: LocalSlack, bolt: AsyncApp) -> None:
    answers(bolt, response_action="errors", errors={"words": "Please give a reason"})
    view = await opened(live, bolt.client, modal(asks(typed(), "why")))
    with pytest.raises(BadAnswer, match="words"):
        await live.person("UMIA").submit(view, {"why": "."})


async def test_an_answer_can_update_push_and_clear(live: LocalSlack, bolt: AsyncApp) -> None:
    mia = live.person("UMIA")
    view = await opened(live, bolt.client, modal())
    answers(bolt, response_action="update", view=modal(section("next"), callback_id="more"))
    await mia.submit(view)
    updated = await mia.sees_view("more", lambda v: "next" in v.said())
    assert updated.id == view.id

    @bolt.view("more")
    async def more(ack: AsyncAck) -> None:
        await ack(response_action="push", view=modal(callback_id="last"))

    @bolt.view("last")
    async def last(ack: AsyncAck) -> None:
        await ack(response_action="clear")

    await mia.submit(updated)
    pushed = await mia.sees_view("last")
    assert (pushed.previous, pushed.root) == (view.id, view.id)
    await mia.submit(pushed)
    assert live.world.stack("UMIA") == []
    assert len([body for kind, body in live.payloads if kind == "view"]) == 3


async def test_an_invalid_view_is_refused_as_an_answer_too(live: LocalSlack, bolt: AsyncApp) -> None:
    answers(bolt, response_action="update", view=modal(title=plain("x" * 25)))
    view = await opened(live, bolt.client, modal())
    with pytest.raises(SlackRefusal, match="invalid_arguments"):
        await live.person("UMIA").submit(view)


async def test_a_submission_can_be_delivered_twice(live: LocalSlack, bolt: AsyncApp) -> None:
    heard = answers(bolt)
    view = await opened(live, bolt.client, modal())
    mia = live.person("UMIA")
    payload = mia.submission(view)
    await mia.deliver_submission(view, payload)
    await mia.deliver_submission(view, payload)
    assert [body["view"]["id"] for body in heard] == [view.id] * 2


async def test_closing_is_delivered_with_notify_on_close(live: LocalSlack, bolt: AsyncApp, heard: list[Json]) -> None:
    mia = live.person("UMIA")
    view = await opened(live, bolt.client, modal(notify_on_close=True))
    below = live.world.trigger("UMIA")
    await bolt.client.views_push(trigger_id=below, view=modal(notify_on_close=True))
    await mia.close_view(await mia.sees_view("ask", lambda v: v.id != view.id))
    assert mia.view is view
    await mia.close_view(view, whole_stack=True)
    assert [(body["type"], body["is_cleared"]) for body in heard] == [("view_closed", False), ("view_closed", True)]
    with pytest.raises(NotThere, match="not open"):
        mia.close_view(view)


async def test_closing_is_not_delivered_otherwise(live: LocalSlack, bolt: AsyncApp, heard: list[Json]) -> None:
    await live.person("UMIA").close_view(await opened(live, bolt.client, modal()))
    assert heard == []


async def test_a_modal_closes_at_once_though_nobody_waits_for_it(live: LocalSlack, bolt: AsyncApp) -> None:
    view = await opened(live, bolt.client, modal())
    live.person("UMIA").close_view(view)
    assert live.person("UMIA").view is None


async def test_an_external_select_offers_what_the_app_finds(live: LocalSlack, bolt: AsyncApp) -> None:
    @bolt.options("pick")
    async def found(ack: AsyncAck, payload: Json) -> None:
        count = 101 if payload["value"] == "all" else 2
        await ack(options=[option(f"{payload['value']}-{number}") for number in range(count)])

    heard = answers(bolt)
    element = {"type": "external_select", "action_id": "pick", "min_query_length": 1}
    view = await opened(live, bolt.client, modal(asks(element)))
    mia = live.person("UMIA")
    with pytest.raises(NotThere, match="no option db-1 at pick; there are none"):
        await mia.submit(view, {"pick": "db-1"})
    assert [o["value"] for o in await mia.searches(view, "pick", "db")] == ["db-0", "db-1"]
    with pytest.raises(BadAnswer, match="no more than 100"):
        await mia.searches(view, "pick", "all")
    await mia.submit(view, {"pick": "db-1"})
    assert heard[0]["view"]["state"]["values"]["asked"]["pick"]["selected_option"]["value"] == "db-1"


async def test_the_home_tab_is_opened_and_its_buttons_clicked(
    live: LocalSlack, bolt: AsyncApp, heard: list[Json]
) -> None:
    mia = live.person("UMIA")
    await mia.opens_home()
    home = {"type": "home", "blocks": [actions(button(value="J-1"))]}
    await bolt.client.views_publish(user_id="UMIA", view=home)
    await mia.click(await mia.sees_home(), "go")
    await mia.opens_home()
    first, click, second = heard
    assert {"type": "app_home_opened", "user": "UMIA", "tab": "home"}.items() <= first["event"].items()
    assert "view" not in first["event"]
    assert (click["container"]["type"], click["view"]["type"]) == ("view", "home")
    assert second["event"]["view"]["id"] == click["view"]["id"]


async def test_changes_of_people_and_groups_are_delivered(live: LocalSlack, heard: list[Json]) -> None:
    live.add_usergroup("S0DBA", "dba", ["UDAN"])
    await live.deactivate("UDAN")
    await live.set_usergroup("S0DBA", ["UMIA"])
    gone, group, members = (body["event"] for body in heard)
    assert (gone["type"], gone["user"]["id"], gone["user"]["deleted"]) == ("user_change", "UDAN", True)
    assert (group["type"], group["subteam"]["users"]) == ("subteam_updated", ["UMIA"])
    assert (members["type"], members["added_users"]) == ("subteam_members_changed", ["UMIA"])


async def test_a_command_that_the_app_does_not_know_is_not_acknowledged(live: LocalSlack) -> None:
    live.delivery.ack_seconds, live.delivery.redeliver = 0.2, False
    reply = await live.person("UMIA").command("/unknown", channel=CHANNEL)
    assert reply.status == (404 if live.delivery.url else 0)
    assert live.person("UMIA").ephemerals == []
