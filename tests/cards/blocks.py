"""Block Kit as HTML, and as lines of text. A block, an element or a key that is not known here is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.cards import tables
from tests.cards.mrkdwn import literal, to_html, to_text

Json = Mapping[str, Any]


class UnknownBlock(Exception):
    """Something that Slack would show, and this would not."""


def drawn(blocks: Sequence[Json]) -> str:
    """The blocks of a message or a view, one below the other."""
    return "".join(_drawn(block, _BLOCKS) for block in blocks)


def in_text(blocks: Sequence[Json]) -> list[str]:
    """The lines of a message as somebody reads them; for messages only."""
    return [line for block in blocks for line in _in_text(block)]


def text(of: Json) -> str:
    """A text object."""
    if of["type"] == "mrkdwn":
        _only(of, "type", "text", "verbatim")
        return to_html(of["text"])
    if of["type"] == "plain_text":
        _only(of, "type", "text", "emoji")
        return literal(of["text"], emoji=bool(of.get("emoji")))
    raise UnknownBlock(f"a text of type {of['type']}")


def options(given: Sequence[Json]) -> str:
    """What can be chosen, in groups or not."""
    rows = []
    for each in given:
        if "options" in each:
            _only(each, "label", "options")
            rows.append(f"<li><em>{text(each['label'])}</em><ul>{options(each['options'])}</ul></li>")
        else:
            _only(each, "text", "value", "description")
            said = f" <small>{text(each['description'])}</small>" if "description" in each else ""
            rows.append(f"<li>{text(each['text'])}{said}</li>")
    return "".join(rows)


def _drawn(part: Json, known: Mapping[str, tuple[Callable[[Json], str], frozenset[str]]]) -> str:
    if part.get("type") not in known:
        raise UnknownBlock(f"nothing draws a {part.get('type')}")
    draw, keys = known[part["type"]]
    _only(part, "type", *keys)
    return draw(part)


def _only(part: Json, *keys: str) -> None:
    if extra := set(part) - set(keys):
        raise UnknownBlock(f"nothing draws {', '.join(sorted(extra))} of a {part.get('type', 'part')}")


def _section(block: Json) -> str:
    beside = _drawn(block["accessory"], _ELEMENTS) if "accessory" in block else ""
    said = text(block["text"]) if "text" in block else ""
    fields = "".join(f"<div>{text(field)}</div>" for field in block.get("fields", ()))
    grid = f'<div class="fields">{fields}</div>' if fields else ""
    return f'<div class="section"><div>{said}{grid}</div>{beside}</div>'


def _header(block: Json) -> str:
    return f"<h4>{text(block['text'])}</h4>"


def _context(block: Json) -> str:
    return f'<div class="context">{"".join(map(text, block["elements"]))}</div>'


def _actions(block: Json) -> str:
    return f'<div class="actions">{"".join(_drawn(each, _ELEMENTS) for each in block["elements"])}</div>'


def _input(block: Json) -> str:
    optional = ' <span class="dim">(optional)</span>' if block.get("optional") else ""
    hint = f'<div class="context">{text(block["hint"])}</div>' if "hint" in block else ""
    label = f"<label>{text(block['label'])}{optional}</label>"
    return f'<div class="input">{label}{_drawn(block["element"], _ELEMENTS)}{hint}</div>'


def _button(element: Json) -> str:
    button = _pressed(element["text"], element.get("style", "plain"))
    return button + (_confirm(element["confirm"]) if "confirm" in element else "")


def _pressed(said: Json, style: str) -> str:
    if style not in {"plain", "primary", "danger"}:
        raise UnknownBlock(f"nothing draws the style {style}")
    return f'<span class="button {style}">{text(said)}</span>'


def _confirm(asked: Json) -> str:
    _only(asked, "title", "text", "confirm", "deny", "style")
    said = "".join(f"<div>{text(asked[key])}</div>" for key in ("title", "text"))
    yes = _pressed(asked["confirm"], asked.get("style", "primary"))
    no = _pressed(asked["deny"], "plain") if "deny" in asked else ""
    return f'<div class="confirm">{said}<div class="actions">{no}{yes}</div></div>'


def _select(element: Json) -> str:
    if "initial_option" in element:
        _only(element["initial_option"], "text", "value", "description")
        shown = text(element["initial_option"]["text"])
    else:
        shown = f'<span class="dim">{text(element["placeholder"])}</span>' if "placeholder" in element else ""
    given = element.get("options", element.get("option_groups", ()))
    inside = f"<details><summary>all options</summary><ul>{options(given)}</ul></details>" if given else ""
    return f'<div class="box">{shown}<span class="dim">⌄</span></div>{inside}'


def _person(element: Json) -> str:
    shown = literal(element["initial_user"]) if "initial_user" in element else text(element["placeholder"])
    return f'<div class="box"><span class="dim">👤 {shown}⌄</span></div>'


def _moment(element: Json) -> str:
    return f'<div class="box"><span class="dim">📅 {literal(str(element.get("initial_date_time", "")))}</span></div>'


def _typed(element: Json) -> str:
    size = "tall" if element.get("multiline") else ""
    empty = f'<span class="dim">{text(element["placeholder"])}</span>' if "placeholder" in element else "&nbsp;"
    return f'<div class="box {size}"><span>{literal(element.get("initial_value", "")) or empty}</span></div>'


_CHOICE = frozenset({"action_id", "placeholder", "initial_option", "options", "option_groups", "min_query_length"})
_ELEMENTS = {
    "button": (_button, frozenset({"action_id", "text", "value", "style", "confirm", "url", "accessibility_label"})),
    "static_select": (_select, _CHOICE),
    "external_select": (_select, _CHOICE),
    "users_select": (_person, frozenset({"action_id", "placeholder", "initial_user"})),
    "datetimepicker": (_moment, frozenset({"action_id", "initial_date_time"})),
    "plain_text_input": (
        _typed,
        frozenset({"action_id", "initial_value", "placeholder", "multiline", "max_length", "min_length"}),
    ),
}
_BLOCKS = {
    "section": (_section, frozenset({"block_id", "text", "fields", "accessory"})),
    "table": (tables.table, frozenset({"block_id", "rows", "column_settings"})),
    "image": (tables.image, frozenset({"block_id", "alt_text", "slack_file"})),
    "header": (_header, frozenset({"block_id", "text"})),
    "context": (_context, frozenset({"block_id", "elements"})),
    "actions": (_actions, frozenset({"block_id", "elements"})),
    "input": (_input, frozenset({"block_id", "label", "element", "hint", "optional", "dispatch_action"})),
}
"""How each is drawn, and the keys that it may have: those that are seen, and those that nobody sees."""


def _in_text(block: Json) -> list[str]:
    match block["type"]:
        case "section":
            return to_text(block["text"]["text"]).split("\n")
        case "context":
            return [" ".join(to_text(each["text"]) for each in block["elements"])]
        case "actions":
            return ["  ".join(f"[ {each['text']['text']} ]" for each in block["elements"])]
        case kind:
            raise UnknownBlock(f"nothing writes a {kind} as text")
