"""Slack's limits on texts, options and interactive elements, including those that its SDK does not check.

As with Slack, a flaw has a place but no advice. An element that no bot of this kind uses is refused as unsupported.
Sources: Slack's references "Block elements" and "Composition objects".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.playground.block_tree import options

ID = 255


class Flaws:
    """What is wrong, each flaw with the JSON pointer to its place."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def say(self, where: str, what: str) -> None:
        """Add a flaw."""
        self.all.append((where, what))

    def messages(self) -> dict[str, list[str]]:
        """As ``response_metadata`` has it."""
        return {"messages": [f"[ERROR] {what} [json-pointer:{where}]" for where, what in self.all]}

    def length(self, where: str, value: Any, most: int, least: int = 1) -> None:
        """Check a string and its length."""
        if not isinstance(value, str):
            self.say(where, "must be a string")
        elif len(value) < least:
            self.say(where, f"must be more than {least - 1} characters")
        elif len(value) > most:
            self.say(where, f"must be less than {most + 1} characters")

    def object(self, where: str, value: Any, allowed: Iterable[str]) -> bool:
        """Check that it is an object, with these keys only. Returns whether it is an object."""
        if not isinstance(value, dict):
            self.say(where, "must be an object")
            return False
        for key in sorted(value.keys() - set(allowed)):
            self.say(f"{where}/{key}", f"invalid additional property: {key}")
        return True

    def array(self, where: str, value: Any, most: int, least: int = 1) -> list[Any]:
        """Check a list and its length. Returns its items."""
        if not isinstance(value, list):
            self.say(where, "must be an array")
            return []
        if len(value) < least:
            self.say(where, f"no fewer than {least} items allowed")
        elif len(value) > most:
            self.say(where, f"no more than {most} items allowed")
        return value

    def distinct(self, where: str, key: str, items: Iterable[Any]) -> None:
        """Check that no two items have the same id; an item may have none."""
        seen: set[str] = set()
        for index, item in enumerate(items):
            value = item.get(key) if isinstance(item, dict) else None
            if isinstance(value, str) and value in seen:
                self.say(f"{where}/{index}/{key}", f"duplicate {key}: {value}")
            elif isinstance(value, str):
                seen.add(value)


@dataclass(frozen=True)
class Element:
    """``places``: the blocks that may contain it. ``keys``: what it may have besides type, id and confirm dialog."""

    places: str
    keys: str
    most_options: int = 0


_SELECT = "placeholder focus_on_load"
_TYPED = "initial_value multiline min_length max_length dispatch_action_config"
ELEMENTS: Mapping[str, Element] = {
    "button": Element("section actions", "text url value style accessibility_label"),
    "overflow": Element("section actions", "options", 5),
    "static_select": Element("section actions input", f"options option_groups initial_option {_SELECT}", 100),
    "multi_static_select": Element(
        "section input", f"options option_groups initial_options max_selected_items {_SELECT}", 100
    ),
    "external_select": Element("section actions input", f"initial_option min_query_length {_SELECT}"),
    "users_select": Element("section actions input", f"initial_user {_SELECT}"),
    "multi_users_select": Element("section input", f"initial_users max_selected_items {_SELECT}"),
    "conversations_select": Element("section actions input", f"initial_conversation filter {_SELECT}"),
    "datepicker": Element("section actions input", f"initial_date {_SELECT}"),
    "timepicker": Element("section actions input", f"initial_time timezone {_SELECT}"),
    "datetimepicker": Element("actions input", "initial_date_time focus_on_load"),
    "radio_buttons": Element("section actions input", "options initial_option focus_on_load", 10),
    "checkboxes": Element("section actions input", "options initial_options focus_on_load", 10),
    "plain_text_input": Element("input", f"{_TYPED} {_SELECT}"),
    "image": Element("section context", "image_url alt_text slack_file"),
}
_MARKDOWN_OPTIONS = {"radio_buttons", "checkboxes"}


def kind_of(value: Any) -> str:
    """The type of a block, an element or a text; empty if it has none."""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""


def check_element(flaws: Flaws, where: str, element: Any, place: str) -> None:
    """Check an element in a block of the type ``place``."""
    kind = kind_of(element)
    known = ELEMENTS.get(kind)
    if known is None or place not in known.places.split():
        flaws.say(f"{where}/type", f"unsupported type: {kind or 'none'}")
        return
    flaws.object(where, element, {"type", "action_id", "confirm", *known.keys.split()})
    if "action_id" in element:
        flaws.length(f"{where}/action_id", element["action_id"], ID)
    if "placeholder" in element:
        check_text(flaws, f"{where}/placeholder", element["placeholder"], 150, plain=True)
    if "confirm" in element:
        _check_confirm(flaws, f"{where}/confirm", element["confirm"])
    match kind:
        case "button":
            _check_button(flaws, where, element)
        case "plain_text_input":
            _check_typed(flaws, where, element)
        case "image":
            check_image(flaws, where, element)
        case "external_select":
            _check_looked_up(flaws, where, element)
        case _ if known.most_options:
            _check_offered(flaws, where, element, known.most_options)


def check_text(flaws: Flaws, where: str, text: Any, most: int, *, plain: bool = False) -> None:
    """Check a text object."""
    kind = kind_of(text)
    if kind not in ({"plain_text"} if plain else {"plain_text", "mrkdwn"}):
        flaws.say(where, "must be a plain_text object" if plain else "must be a text object")
        return
    flaws.object(where, text, {"type", "text", "emoji" if kind == "plain_text" else "verbatim"})
    flaws.length(f"{where}/text", text.get("text"), most)


def check_image(flaws: Flaws, where: str, image: Mapping[str, Any]) -> None:
    """Check what image blocks and image elements have in common."""
    flaws.length(f"{where}/alt_text", image.get("alt_text"), 2000)
    if "slack_file" not in image:
        flaws.length(f"{where}/image_url", image.get("image_url"), 3000)
        return
    file = image["slack_file"]
    if flaws.object(f"{where}/slack_file", file, {"id", "url"}) and len(file) != 1:
        flaws.say(f"{where}/slack_file", "must provide either id or url")
    if "image_url" in image:
        flaws.say(where, "must provide either image_url or slack_file")


def check_options(flaws: Flaws, where: str, value: Any, most: int, *, plain: bool = True) -> None:
    """Check the options of a select, a menu or a group."""
    for index, option in enumerate(flaws.array(where, value, most)):
        at = f"{where}/{index}"
        if not flaws.object(at, option, {"text", "value", "description", "url"}):
            continue
        check_text(flaws, f"{at}/text", option.get("text"), 75, plain=plain)
        flaws.length(f"{at}/value", option.get("value"), 150)
        if "description" in option:
            check_text(flaws, f"{at}/description", option["description"], 75, plain=plain)


def check_groups(flaws: Flaws, where: str, groups: Any) -> None:
    """Check groups of options."""
    for index, group in enumerate(flaws.array(where, groups, 100)):
        if flaws.object(f"{where}/{index}", group, {"label", "options"}):
            check_text(flaws, f"{where}/{index}/label", group.get("label"), 75, plain=True)
            check_options(flaws, f"{where}/{index}/options", group.get("options"), 100)


def _check_button(flaws: Flaws, where: str, element: Mapping[str, Any]) -> None:
    check_text(flaws, f"{where}/text", element.get("text"), 75, plain=True)
    for part, most in (("value", 2000), ("url", 3000), ("accessibility_label", 75)):
        if part in element:
            flaws.length(f"{where}/{part}", element[part], most)
    if element.get("style", "primary") not in ("primary", "danger"):
        flaws.say(f"{where}/style", "must be a valid enum value")


def _check_confirm(flaws: Flaws, where: str, confirm: Any) -> None:
    if not flaws.object(where, confirm, {"title", "text", "confirm", "deny", "style"}):
        return
    for part, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        check_text(flaws, f"{where}/{part}", confirm.get(part), most, plain=part != "text")


def _check_offered(flaws: Flaws, where: str, element: Mapping[str, Any], most: int) -> None:
    if ("options" in element) == ("option_groups" in element):
        flaws.say(where, "must provide either options or option_groups")
        return
    before, plain = len(flaws.all), element["type"] not in _MARKDOWN_OPTIONS
    if "options" in element:
        check_options(flaws, f"{where}/options", element["options"], most, plain=plain)
    else:
        check_groups(flaws, f"{where}/option_groups", element["option_groups"])
    if len(flaws.all) > before:
        return
    initial = [element["initial_option"]] if "initial_option" in element else []
    if "initial_options" in element:
        initial = flaws.array(f"{where}/initial_options", element["initial_options"], most)
    if any(option not in options(element) for option in initial):
        flaws.say(f"{where}/initial_option", "must be one of the provided options")


def _check_looked_up(flaws: Flaws, where: str, element: Mapping[str, Any]) -> None:
    least = element.get("min_query_length", 0)
    if not isinstance(least, int) or isinstance(least, bool) or least < 0:
        flaws.say(f"{where}/min_query_length", "must be an integer of 0 or more")
    if "initial_option" in element:
        check_options(flaws, f"{where}/initial_option", [element["initial_option"]], 1)


def _check_typed(flaws: Flaws, where: str, element: Mapping[str, Any]) -> None:
    most, least = element.get("max_length", 3000), element.get("min_length", 0)
    if not isinstance(most, int) or not 1 <= most <= 3000:
        flaws.say(f"{where}/max_length", "must be 1 to 3000")
    elif not isinstance(least, int) or not 0 <= least <= most:
        flaws.say(f"{where}/min_length", "must be no more than max_length")
    elif "initial_value" in element:
        flaws.length(f"{where}/initial_value", element["initial_value"], most, 0)
