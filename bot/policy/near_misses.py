"""What was probably meant by a value that the policy does not take; it repeats no value that may be a secret."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from bot.policy.problems import did_you_mean, like
from bot.policy.yaml_source import Path

_EVERYONE = frozenset({"*", "all", "any", "anybody", "anyone", "everybody", "everyone", "public"})
_VARIABLE = re.compile(r"\$\{(\w+)[^}]*\}|^\$(\w+)$|\{\{")
_OWN_SIGNS = frozenset({"hint", "pattern"})
"""Keys whose values may have a $ of their own."""
_LISTS = {
    "approvers",
    "may_ask",
    "may_ask_for",
    "operators",
    "auditors",
    "any_of",
    "people",
    "roles",
    "durations",
    "requester_in",
    "what",
    "choice",
    "days",
    "frozen",
}
_INSTEAD = {
    "max_per_day": "write `limits: {per_day: 10}`",
    "max_per_week": "write `limits: {per_week: 30}`",
    "max_live": "write `limits: {live: 3}`",
    "cooldown": "write `limits: {cooldown: 1h}`",
}


def plain(name: str) -> str:
    """A name as it could be written: small letters, digits and dashes; '' where nothing remains."""
    ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_.lower()).strip("-")[:40]


def is_everyone(name: str) -> bool:
    """Whether a name that is no group stands for all people in other tools."""
    return name.lower() in _EVERYONE


def instead(path: Path) -> str:
    """What to write in place of a key that is none; '' where it is not known."""
    key = str(path[-1])
    if path[0] == "systems" and path[-2:] == ("approval", "mfa"):
        return "write `mfa: {approve: required}` beside `approval`, for a second factor of who approves"
    return _INSTEAD.get(key, "")


def value(path: Path, kind: str, message: str, found: Any) -> str:
    """A hint for a value that is refused. ``kind``, ``message``: pydantic's."""
    key = str(path[-1]) if path else ""
    if kind in {"literal_error", "enum"}:
        return _one_of(re.findall(r"'([^']+)'", message), found)
    if found is None:
        return "nothing is written here; text that begins with # is a comment unless it is in quotes"
    if kind in {"tuple_type", "list_type"} and key in _LISTS and isinstance(found, str):
        return f"write it in brackets: [{found[:40]}]" if re.fullmatch(r"[\w@./ -]+", found) else "write it in brackets"
    if kind == "string_type" and isinstance(found, int | float):
        return _number(key)
    if key in {"channel", "audit_channel"} and isinstance(found, str) and re.fullmatch(r"[cg][a-z0-9]{5,20}", found):
        return f"write it in capitals: {found.upper()}"
    if key == "mfa" and kind == "model_type":
        return f"write `mfa: {{request: {'off' if found in (False, 'off') else 'required'}}}`"
    if kind in {"model_type", "dict_type"} and isinstance(found, list):
        return "write `name:` and what belongs to it below, without dashes"
    return ""


def variables(data: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where a value waits to be filled in as other tools do it, and what to write in its place."""
    if isinstance(data, Mapping):
        for key, part in data.items():
            yield from variables(part, (*path, str(key)))
    elif isinstance(data, list):
        for index, part in enumerate(data):
            yield from variables(part, (*path, index))
    elif isinstance(data, str) and path[-1] not in _OWN_SIGNS and (found := _VARIABLE.search(data)):
        yield path, _written(found, path, whole=found[0] == data)


def _written(found: re.Match[str], path: Path, *, whole: bool) -> str:
    name = found[1] or found[2]
    if "config" not in path:
        asked = f", or `{{ask: {name}}}` for an input that the role asks for" if "grants" in path and name else ""
        return f"write it out{asked}"
    if whole and name:
        return f"write `env:{name}`"
    return "write `env:NAME`, and have that variable hold the whole value"


def _one_of(options: list[str], found: Any) -> str:
    if isinstance(found, bool):
        return did_you_mean([name for name in ("required", "off") if name in options][: 1 if found else 2])
    if not isinstance(found, str):
        return ""
    same = [option for option in options if option == found.strip().lower()]
    return did_you_mean(same or like(found.lower(), options)[:1])


def _number(key: str) -> str:
    if key in {"channel", "audit_channel"}:
        return "a channel is written by its id, which begins with C or G; its details in Slack show it"
    return "put a number that is meant as text in quotes"
