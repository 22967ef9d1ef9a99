"""A pack of evidence as one page: it prints, and it checks itself in a browser, offline; it loads nothing.

Everything that people typed is escaped here; the script writes text and never HTML.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from bot.audit.export.evidence import canonical
from bot.core import human_times


def page(pack: Mapping[str, Any]) -> str:
    """The page, whole: no other file and no network is needed."""
    style, script = (_guide(name) for name in ("evidence.css", "evidence.js"))
    body = {name: value for name, value in pack.items() if name != "signed"}
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'"
    title = f"Evidence: {html.escape(str(pack['id']))}"
    data = _data("body", canonical(body)) + _data("signed", canonical(pack["signed"]))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{title}</title>\n<style>{style}</style></head>\n<body>\n<h1>{title}</h1>\n"
        '<p id="verdict" role="status">Not checked: this browser runs no scripts, or is still at it.</p>\n'
        f"{_shown(pack)}\n{data}<script>{script}</script>\n</body></html>\n"
    )


def _shown(pack: Mapping[str, Any]) -> str:
    request = pack["request"]
    facts = [
        *_asked_by(request),
        ("For", f"{request['what']}: {request['title']}"),
        *((given["title"], given["value"]) for given in _inputs(request)),
        ("Reason", request["reason"]),
        ("Asked at", human_times.spelled(request["created_at"])),
        *([("Confirmed with", proved)] if (proved := _proof(request.get("proof"))) else []),
        *([("Approved by", _rule(request["rule"]))] if request.get("rule") else []),
        *([("Break-glass", _break_glass(request["break_glass"]))] if request.get("break_glass") else []),
        ("State", request["state"]),
        ("Open from, until", _span(request)),
        ("Policy", pack["policy"]["generation"]),
        ("Last head", pack["head"]),
    ]
    reviews = [
        (
            human_times.spelled(review["at"]),
            _reviewer(review),
            review["verb"],
            review["reason"],
            _proof(review.get("proof")),
        )
        for review in pack["reviews"]
    ]
    legs = [(f"{leg['role']['system']}/{leg['role']['role']}", _json(leg["receipt"])) for leg in pack["grants"]]
    closed = [(str(leg["leg"]), _json(leg["outcome"])) for leg in pack["read_back"]]
    events = [(str(e["seq"]), human_times.spelled(e["at"]), e["kind"], e["event"]) for e in pack["events"]]
    texts = "".join(
        f"<h3>{html.escape(name)}</h3><pre>{html.escape(text)}</pre>"
        for name, text in (pack["policy"]["files"] or {"not archived": ""}).items()
    )
    return "\n".join(
        (
            _table("The request", (), facts),
            _table("Answers", ("when", "who", "answer", "reason", "confirmed with"), reviews),
            _table("Opened", ("role", "receipt"), legs),
            _table("Read back", ("leg", "outcome"), closed),
            _table("Events", ("number", "when", "kind", "event"), events),
            f"<h2>The policy that it was asked under</h2>{texts}",
        )
    )


def _asked_by(request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Who requested it; where that was for somebody else, whom it is for, and when they accepted it."""
    requester, requested_by = _person(request["requester"]), request.get("requested_by")
    if not requested_by:
        return [("Asked by", requester)]
    at = request.get("consented_at")
    proof = _proof(request.get("consent_proof"))
    accepted = f"accepted {human_times.spelled(at)}" if at else "not accepted"
    accepted += f", confirmed with {proof}" if proof else ""
    return [("Asked by", _person(requested_by)), ("Asked for", f"{requester}, {accepted}")]


def _person(person: Mapping[str, Any]) -> str:
    return f"{person['name']} {person['email']} ({person['id']})"


def _inputs(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the requester gave for the roles' inputs, each once."""
    found = {given["name"]: given for leg in request["legs"] for given in leg["role"].get("inputs", ())}
    return list(found.values())


def _reviewer(review: Mapping[str, Any]) -> str:
    """Who answered, and in whose place."""
    instead = review.get("stands_in_for")
    return f"{review['by']['email']} for {instead['email']}" if instead else str(review["by"]["email"])


def _proof(proof: Mapping[str, Any] | None) -> str:
    """Which factor proved who it was, and when; empty where the policy asked for none."""
    return f"{proof['factor']} at {human_times.spelled(proof['at'])}" if proof else ""


def _rule(rule: Mapping[str, Any]) -> str:
    """The rule's conditions at the time, where no person decided."""
    return f"rule {rule['n']} of the policy: {_json({k: v for k, v in rule.items() if k != 'n'})}"


def _break_glass(glass: Mapping[str, Any]) -> str:
    """When it was used, and what its review found."""
    used = f"used {human_times.spelled(glass['at'])}"
    review = glass["review"]
    if review is None:
        return f"{used}, not reviewed; the review is due {human_times.spelled(glass['review_by'])}"
    found = "justified" if review["justified"] else "not justified"
    why = "; ".join(words for words in (review["reason"], review["follow_up"]) if words)
    by = f"{review['by']['email']} at {human_times.spelled(review['at'])}"
    return f"{used}, reviewed by {by}: {found}{f' ({why})' if why else ''}"


def _span(request: Mapping[str, Any]) -> str:
    if not request["opened_at"]:
        return "never opened"
    until = human_times.spelled(request["closed_at"]) if request["closed_at"] else "still open"
    return f"{human_times.spelled(request['opened_at'])}, {until}"


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = f"<tr>{''.join(f'<th>{name}</th>' for name in heads)}</tr>" if heads else ""
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h2>{title}</h2><table>{head}{body}</table>"


def _json(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _data(name: str, text: str) -> str:
    """The data for the script, escaped so that it has no character of HTML."""
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _guide(name: str) -> str:
    return files("bot").joinpath("guides", name).read_text(encoding="utf-8")
