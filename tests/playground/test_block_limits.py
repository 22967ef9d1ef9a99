"""Slack's limits on messages and views: what just fits is accepted, what is too large is refused at its place."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import LocalSlack, SlackRefusal
from bot.playground.block_tree import elements, texts, with_ids
from bot.playground.blocks import check_message, check_view
from bot.playground.elements import ELEMENTS
from tests.playground.conftest import (
    CHANNEL,
    Json,
    actions,
    asks,
    button,
    modal,
    mrkdwn,
    option,
    plain,
    refused,
    section,
    select,
    typed,
)


def several(count: int) -> list[Json]:
    return [option(str(number)) for number in range(count)]


def confirm(**more: Any) -> Json:
    dialog = {"title": plain("Sure?"), "text": mrkdwn("Really?"), "confirm": plain("Yes"), "deny": plain("No")}
    return actions(button(confirm={**dialog, **more}))


def buttons(count: int) -> Json:
    return actions(*(button(action_id=f"b{number}") for number in range(count)))


def context(*elements: Json) -> Json:
    return {"type": "context", "elements": list(elements)}


def image(alt: str) -> Json:
    return {"type": "image", "image_url": "https://example.com/a.png", "alt_text": alt}


def overflow(count: int) -> Json:
    return actions({"type": "overflow", "action_id": "more", "options": several(count)})


def external(**more: Any) -> Json:
    return {"type": "external_select", "action_id": "find", **more}


def radio(count: int) -> Json:
    return actions({"type": "radio_buttons", "action_id": "one", "options": several(count)})


def grouped(label: str, groups: int = 1) -> Json:
    group = {"label": plain(label), "options": [option()]}
    return actions({"type": "static_select", "action_id": "pick", "option_groups": [group] * groups})


# What fits, what does not, and the place that is named.
IN_BLOCKS: dict[str, tuple[Any, Any, str]] = {
    "section text 3,000": (section("x" * 3000), section("x" * 3001), "/text/text"),
    "empty text": (section("x"), section(""), "/text/text"),
    "10 fields": (
        {"type": "section", "fields": [mrkdwn("x")] * 10},
        {"type": "section", "fields": [mrkdwn("x")] * 11},
        "/fields",
    ),
    "field 2,000": (
        {"type": "section", "fields": [mrkdwn("x" * 2000)]},
        {"type": "section", "fields": [mrkdwn("x" * 2001)]},
        "/fields/0/text",
    ),
    "a section of nothing": (section(), {"type": "section"}, ""),
    "header 150": ({"type": "header", "text": plain("x" * 150)}, {"type": "header", "text": plain("x" * 151)}, "/text"),
    "a header is plain": ({"type": "header", "text": plain("x")}, {"type": "header", "text": mrkdwn("x")}, "/text"),
    "10 in a context": (context(*[mrkdwn("x")] * 10), context(*[mrkdwn("x")] * 11), "/elements"),
    "no context of nothing": (context(mrkdwn("x")), context(), "/elements"),
    "no button in a context": (context(mrkdwn("x")), context(button()), "/elements/0/type"),
    "25 in actions": (buttons(25), buttons(26), "/elements"),
    "no actions of nothing": (buttons(1), buttons(0), "/elements"),
    "button text 75": (
        actions(button(text=plain("x" * 75))),
        actions(button(text=plain("x" * 76))),
        "/elements/0/text/text",
    ),
    "button value 2,000": (
        actions(button(value="x" * 2000)),
        actions(button(value="x" * 2001)),
        "/elements/0/value",
    ),
    "button url 3,000": (actions(button(url="x" * 3000)), actions(button(url="x" * 3001)), "/elements/0/url"),
    "button style": (actions(button(style="danger")), actions(button(style="green")), "/elements/0/style"),
    "action id 255": (
        actions(button(action_id="x" * 255)),
        actions(button(action_id="x" * 256)),
        "/elements/0/action_id",
    ),
    "block id 255": (section(block_id="x" * 255), section(block_id="x" * 256), "/block_id"),
    "action id once a block": (
        actions(button(), button(action_id="stop")),
        actions(button(), button()),
        "/elements/1/action_id",
    ),
    "option text 75": (actions(select(option(text="x" * 75))), actions(select(option(text="x" * 76))), "/text/text"),
    "option value 150": (actions(select(option("x" * 150))), actions(select(option("x" * 151))), "/options/0/value"),
    "option description 75": (
        actions(select(option(description=plain("x" * 75)))),
        actions(select(option(description=plain("x" * 76)))),
        "/options/0/description/text",
    ),
    "100 options": (actions(select(*several(100))), actions(select(*several(101))), "/elements/0/options"),
    "no select of nothing": (actions(select(option())), actions(select()), "/elements/0/options"),
    "initial option is offered": (
        actions(select(option(), initial_option=option())),
        actions(select(option(), initial_option=option("w"))),
        "/initial_option",
    ),
    "what an external select stands at is an option": (
        actions(external(initial_option=option(text="x" * 75))),
        actions(external(initial_option=option(text="x" * 76))),
        "/initial_option/0/text/text",
    ),
    "an external select wants so many signs or none": (
        actions(external(min_query_length=0)),
        actions(external(min_query_length=-1)),
        "/elements/0/min_query_length",
    ),
    "group label 75": (grouped("x" * 75), grouped("x" * 76), "/option_groups/0/label/text"),
    "100 groups": (grouped("x", 100), grouped("x", 101), "/option_groups"),
    "overflow 5": (overflow(5), overflow(6), "/elements/0/options"),
    "radio buttons 10": (radio(10), radio(11), "/elements/0/options"),
    "confirm title 100": (confirm(title=plain("x" * 100)), confirm(title=plain("x" * 101)), "/confirm/title/text"),
    "confirm text 300": (confirm(text=mrkdwn("x" * 300)), confirm(text=mrkdwn("x" * 301)), "/confirm/text/text"),
    "confirm yes 30": (confirm(confirm=plain("x" * 30)), confirm(confirm=plain("x" * 31)), "/confirm/confirm/text"),
    "confirm no 30": (confirm(deny=plain("x" * 30)), confirm(deny=plain("x" * 31)), "/confirm/deny/text"),
    "image alt 2,000": (image("x" * 2000), image("x" * 2001), "/alt_text"),
    "unknown key of a block": (section(), section(colour="red"), "/colour"),
    "unknown key of an element": (actions(button()), actions(button(colour="red")), "/elements/0/colour"),
    "unknown key of a text": (section(), {"type": "section", "text": {**mrkdwn("x"), "emoji": True}}, "/text/emoji"),
    "unknown key of an option": (actions(select(option())), actions(select(option(colour="red"))), "/0/colour"),
    "unknown block": (section(), {"type": "carousel"}, "/type"),
    "unknown element": (actions(button()), actions({"type": "lever"}), "/elements/0/type"),
    "no object": (section(), "hello", "/type"),
}
IN_VIEWS: dict[str, tuple[Json, Json, str]] = {
    "title 24": (modal(title=plain("x" * 24)), modal(title=plain("x" * 25)), "/view/title/text"),
    "submit 24": (modal(submit=plain("x" * 24)), modal(submit=plain("x" * 25)), "/view/submit/text"),
    "close 24": (modal(close=plain("x" * 24)), modal(close=plain("x" * 25)), "/view/close/text"),
    "a title is plain": (modal(), modal(title=mrkdwn("x")), "/view/title"),
    "private_metadata 3,000": (
        modal(private_metadata="x" * 3000),
        modal(private_metadata="x" * 3001),
        "/view/private_metadata",
    ),
    "callback id 255": (modal(callback_id="x" * 255), modal(callback_id="x" * 256), "/view/callback_id"),
    "external id 255": (modal(external_id="x" * 255), modal(external_id="x" * 256), "/view/external_id"),
    "100 blocks": (modal(*[section()] * 100), modal(*[section()] * 101), "/view/blocks"),
    "unknown key": (modal(), modal(colour="red"), "/view/colour"),
    "inputs need submit": (
        modal(asks(typed())),
        {k: v for k, v in modal(asks(typed())).items() if k != "submit"},
        "/view/submit",
    ),
    "placeholder 150": (
        modal(asks(typed(placeholder=plain("x" * 150)))),
        modal(asks(typed(placeholder=plain("x" * 151)))),
        "/element/placeholder/text",
    ),
    "typed 3,000": (
        modal(asks(typed(initial_value="x" * 3000))),
        modal(asks(typed(initial_value="x" * 3001))),
        "/element/initial_value",
    ),
    "max_length 3,000": (modal(asks(typed(max_length=3000))), modal(asks(typed(max_length=3001))), "/max_length"),
    "min_length within": (
        modal(asks(typed(min_length=5, max_length=5))),
        modal(asks(typed(min_length=6, max_length=5))),
        "/min_length",
    ),
    "label 2,000": (
        modal(asks(typed(), label=plain("x" * 2000))),
        modal(asks(typed(), label=plain("x" * 2001))),
        "/view/blocks/0/label/text",
    ),
    "hint 2,000": (
        modal(asks(typed(), hint=plain("x" * 2000))),
        modal(asks(typed(), hint=plain("x" * 2001))),
        "/view/blocks/0/hint/text",
    ),
    "no button as an input": (modal(asks(typed())), modal(asks(button())), "/view/blocks/0/element/type"),
    "only a modal is opened": (modal(), {"type": "home", "blocks": []}, "/view/type"),
    "block id once": (
        modal(section(block_id="a"), section(block_id="b")),
        modal(section(block_id="a"), section(block_id="a")),
        "/view/blocks/1/block_id",
    ),
}


@pytest.mark.parametrize("name", IN_BLOCKS)
async def test_a_limit_on_blocks(client: AsyncWebClient, slack: LocalSlack, name: str) -> None:
    fits, too_much, where = IN_BLOCKS[name]
    await client.chat_postMessage(channel=CHANNEL, text="x", blocks=[fits])
    answer = await refused(client.chat_postMessage(channel=CHANNEL, text="x", blocks=[too_much]))
    assert answer["error"] == "invalid_blocks"
    (flaw,) = answer["response_metadata"]["messages"]
    pointer = flaw.partition("[json-pointer:")[2].rstrip("]")
    assert pointer.startswith("/blocks/0")
    assert pointer.removesuffix("/text").endswith(where.removesuffix("/text"))
    assert len(slack.messages(CHANNEL)) == 1


@pytest.mark.parametrize("name", IN_VIEWS)
async def test_a_limit_on_views(client: AsyncWebClient, slack: LocalSlack, name: str) -> None:
    fits, too_much, where = IN_VIEWS[name]
    trigger = slack.world.trigger("UMIA")
    answer = await refused(client.views_open(trigger_id=trigger, view=too_much))
    assert answer["error"] == "invalid_arguments"
    (flaw,) = answer["response_metadata"]["messages"]
    assert where in flaw
    await client.views_open(trigger_id=trigger, view=fits)


async def test_fifty_blocks_a_message(client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel=CHANNEL, text="x", blocks=[section()] * 50)
    answer = await refused(client.chat_postMessage(channel=CHANNEL, text="x", blocks=[section()] * 51))
    assert answer["response_metadata"]["messages"] == ["[ERROR] no more than 50 items allowed [json-pointer:/blocks]"]


async def test_thirteen_thousand_characters_of_blocks(client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel=CHANNEL, text="x", blocks=[section("x" * 2600)] * 5)
    answer = await refused(client.chat_postMessage(channel=CHANNEL, text="x", blocks=[section("x" * 2601)] * 5))
    assert answer["error"] == "msg_blocks_too_long"


async def test_text_is_cut_at_forty_thousand_characters(client: AsyncWebClient, slack: LocalSlack) -> None:
    await client.chat_postMessage(channel=CHANNEL, text="x" * 40_001)
    assert len(slack.messages(CHANNEL)[0].text) == 40_000


async def test_an_update_takes_four_thousand_characters(client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel=CHANNEL, text="x"))["ts"]
    await client.chat_update(channel=CHANNEL, ts=ts, text="x" * 4000)
    answer = await refused(client.chat_update(channel=CHANNEL, ts=ts, text="x" * 4001))
    assert answer["error"] == "msg_too_long"


async def test_a_view_has_at_most_250_kb(client: AsyncWebClient, slack: LocalSlack) -> None:
    view = modal(*[section("x" * 2990)] * 90)
    answer = await refused(client.views_open(trigger_id=slack.world.trigger("UMIA"), view=view))
    assert answer["error"] == "view_too_large"


async def test_all_flaws_are_named_at_once(client: AsyncWebClient) -> None:
    blocks = [section(""), {"type": "header", "text": plain("x" * 151)}]
    answer = await refused(client.chat_postMessage(channel=CHANNEL, text="x", blocks=blocks))
    assert len(answer["response_metadata"]["messages"]) == 2


@pytest.mark.parametrize("block", [asks(typed()), actions(typed())])
async def test_a_message_has_no_inputs(client: AsyncWebClient, block: Json) -> None:
    answer = await refused(client.chat_postMessage(channel=CHANNEL, text="x", blocks=[block]))
    assert "unsupported type" in answer["response_metadata"]["messages"][0]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"blocks": [section()]}, None),
        ({"blocks": [section("")]}, "invalid_blocks"),
        ({"view": modal()}, None),
        ({"view": modal(title=plain(""))}, "invalid_view"),
        ({"message": {"blocks": [section()]}}, None),
        ({"message": {"blocks": [section("")]}}, "invalid_message"),
        ({}, "invalid_arguments"),
        ({"blocks": [section()], "view": modal()}, "invalid_arguments"),
    ],
)
async def test_blocks_validate(client: AsyncWebClient, slack: LocalSlack, said: Json, error: str | None) -> None:
    call = client.api_call("blocks.validate", json=said)
    if error is None:
        assert (await call)["ok"]
    else:
        answer = await refused(call)
        assert answer["error"] == error
        assert error == "invalid_arguments" or answer["errors"][0]["pointer"].endswith("/text")
    assert slack.messages(CHANNEL) == []


_KEYS = (
    "type text elements element fields options option_groups label confirm accessory blocks value title submit "
    "style initial_option initial_options min_length max_length alt_text external_id"
)
_TYPES = "section actions input context header image modal home plain_text mrkdwn"
_WORDS = st.sampled_from([*ELEMENTS, *_KEYS.split(), *_TYPES.split(), ""])
_LEAVES = st.none() | st.booleans() | st.integers() | _WORDS
_TREES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=5))


@given(_TREES)
def test_anything_is_accepted_or_refused_and_breaks_nothing(tree: Any) -> None:
    for text, blocks in (("x", [tree]), (tree, tree)):
        with contextlib.suppress(SlackRefusal):
            check_message(text, blocks)
    with contextlib.suppress(SlackRefusal):
        check_view(tree)


JUNK: list[Any] = [None, [], {}, [[]], [None], 0, True, "", "x", {"type": []}, {"type": {}}, {"text": []}]


def spoiled(tree: Any) -> Iterator[Any]:
    """The tree with junk at each of its places in turn."""
    yield from JUNK
    items = tree.items() if isinstance(tree, dict) else enumerate(tree[:3]) if isinstance(tree, list) else ()
    for key, inner in items:
        for bad in spoiled(inner):
            copied = copy.copy(tree)
            copied[key] = bad
            yield copied


def shown(blocks: Any) -> None:
    """Do with blocks that were taken what is done to show them."""
    elements(with_ids(blocks))
    texts(blocks)


def test_junk_at_any_place_of_a_good_payload_breaks_nothing() -> None:
    more = [
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]},
        actions({"type": "checkboxes", "action_id": "a", "options": [option()], "initial_options": [option()]}),
        modal(asks({"type": "datetimepicker", "action_id": "a", "initial_date_time": 1})),
    ]
    tried = 0
    for fits in [*more, *(row[0] for row in [*IN_BLOCKS.values(), *IN_VIEWS.values()])]:
        for tree in spoiled(fits):
            with contextlib.suppress(SlackRefusal):
                check_message("x", [tree])
                shown([tree])
            with contextlib.suppress(SlackRefusal):
                check_view(tree)
                shown(tree["blocks"])
            tried += 1
    assert tried > 5000


async def test_a_malformed_structure_is_refused_as_such(client: AsyncWebClient, slack: LocalSlack) -> None:
    with pytest.raises(SlackApiError, match="invalid_blocks_format"):
        await client.api_call("chat.postMessage", params={"channel": CHANNEL, "text": "x", "blocks": "[{"})
    with pytest.raises(SlackApiError, match="invalid_blocks_format"):
        await client.api_call("chat.postMessage", json={"channel": CHANNEL, "text": "x", "blocks": {"type": "section"}})
    assert slack.messages(CHANNEL) == []
