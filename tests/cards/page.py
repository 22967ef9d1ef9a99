"""The page: every golden file by its name, as wide as a desktop and a phone show it. No script; nothing is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from tests.cards.blocks import UnknownBlock, drawn, options, text
from tests.cards.mrkdwn import to_html

GOLDEN = Path(__file__).parents[1] / "handlers" / "views" / "golden"
_VIEW = {"type", "title", "submit", "close", "blocks", "callback_id", "private_metadata", "notify_on_close"}


def page(folder: Path = GOLDEN) -> str:
    """One HTML page with all that is in the folder."""
    parts = {name: _frames(name, shown) for name, shown in golden(folder)}
    links = " ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in parts)
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    themes = "".join(
        f'<input type="radio" name="theme" id="{name}"{" checked" if name == "system" else ""}>'
        f'<label for="{name}">{said}</label>'
        for name, said in (("system", "as this machine"), ("light", "light"), ("dark", "dark"))
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Cards</title>'
        f'<meta name="viewport" content="width=device-width"><style>{style}</style></head>\n'
        f"<body>{themes}<main><h1>Cards</h1><details><summary>{len(parts)} drawings</summary>"
        f"<nav>{links}</nav></details>\n{chr(10).join(parts.values())}\n</main></body></html>\n"
    )


def golden(folder: Path) -> Iterator[tuple[str, str]]:
    """Each golden file's name below the folder, and what it shows."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder).with_suffix(""))
        if path.suffix == ".json":
            try:
                yield name, _shown(json.loads(path.read_text(encoding="utf-8")))
            except Exception as error:
                error.add_note(f"in {name}")
                raise
        elif path.suffix == ".txt":
            yield name, _sentences(path.read_text(encoding="utf-8"))
        elif path.is_file():
            raise UnknownBlock(f"nothing draws {path.name}")


def _frames(name: str, shown: str) -> str:
    frames = "".join(f'<div class="frame {width}">{shown}</div>' for width in ("desktop", "phone"))
    return f'<section id="{escape(name)}"><h2><a href="#{escape(name)}">{escape(name)}</a></h2>{frames}</section>'


def _shown(given: Any) -> str:
    """A story, a message, a modal, a Home tab, or the options of a list."""
    if isinstance(given, list):
        return f'<div class="modal"><ul>{options(given)}</ul></div>'
    if given.get("type") in {"modal", "home"}:
        return _view(given)
    if set(given) <= {"text", "blocks"}:
        return _message(given)
    return "".join(_story_part(name, given[name]) for name in sorted(given, key=_story_order))


def _story_order(name: str) -> tuple[bool, bool, str]:
    return name != "card", name != "thread", name


def _story_part(name: str, part: Any) -> str:
    if name == "thread":
        shown = "".join(f'<div class="reply">{_post(to_html(line))}</div>' for line in part)
        return f"<h3>thread</h3>{shown}" if part else ""
    if name in {"rings", "rings who requested it"}:
        shown = "".join(f'<div class="lock-screen">{to_html(line)}</div>' for line in part)
        return f"<h3>{'rings the requester' if name == 'rings' else name}</h3>{shown}" if part else ""
    if not isinstance(part, dict) or not set(part) <= {"text", "blocks"}:
        raise UnknownBlock(f"nothing draws a story's {name}")
    return f"<h3>{escape(name)}</h3>{_message(part)}"


def _message(given: Any) -> str:
    """A message, and below it what a lock screen shows; one without blocks is its text."""
    if "blocks" not in given:
        return _post(to_html(given["text"]))
    return _post(drawn(given["blocks"])) + f'<div class="lock-screen">{to_html(given["text"])}</div>'


def _post(inside: str) -> str:
    return f'<div class="post"><div class="face">J</div><div class="body"><b>JIT Access</b>{inside}</div></div>'


def _view(given: Any) -> str:
    if extra := set(given) - _VIEW:
        raise UnknownBlock(f"nothing draws {', '.join(sorted(extra))} of a view")
    title = f"<h3>{text(given['title'])}</h3>" if "title" in given else ""
    ends = [("plain", "close"), ("primary", "submit")]
    buttons = "".join(f'<span class="button {how}">{text(given[key])}</span>' for how, key in ends if given.get(key))
    foot = f'<div class="actions end">{buttons}</div>' if buttons else ""
    return f'<div class="{escape(given["type"])}">{title}{drawn(given["blocks"])}{foot}</div>'


def _sentences(given: str) -> str:
    """Each sentence under the name of its occasion."""
    parts = [each.split("\n", 1) for each in given.strip().split("\n\n")]
    return "".join(f"<h3>{escape(name)}</h3>{_post(to_html(_dedented(said)))}" for name, said in parts)


def _dedented(said: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in said.split("\n"))
