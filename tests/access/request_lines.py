"""The lines that people type after `/jit request`, and what is understood: `python -m tests.access.request_lines`.

The golden file is written to be argued about. Whoever changes the parser reads its difference line by line.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bot.access.parsed_line import RequestLine
from bot.access.request_line import parse_line
from bot.core import durations
from bot.core.time_phrases import Clock
from bot.policy.catalog import Catalog
from tests.house import catalog

FILE = Path(__file__).parent / "golden" / "request_lines.txt"
NOW = datetime(2026, 11, 26, 20, 10, tzinfo=UTC).timestamp()
"""A Thursday, 21:10 in Berlin."""
CLOCK = Clock("Europe/Berlin", NOW)
POLICY = """
version: 1
workspace: {audit_channel: C0AUDIT01, mfa: {request: off, break_glass: off}, operators: [platform]}
groups:
  dba: {slack_usergroup: S0DBA0001}
  platform: {people: [pat@example.com]}
systems:
  prod-db:
    title: Production database
    provider: sandbox
    channel: C0VAULT01
    approvers: [dba]
    roles:
      admin: {title: Administrator, grants: {door: safe}, sensitivity: critical, max: 1h, may_ask: [dba]}
      read-only: {grants: {door: vault}, sensitivity: low, max: 8h, may_ask: [everyone]}
  vault:
    title: Vault
    provider: sandbox
    channel: C0VAULT01
    approvers: [dba]
    roles:
      ops:
        title: Operations
        grants: {door: {ask: room}}
        asks: {room: {choice: [hall, "attic, left"]}}
        max: 8h
        may_ask: [everyone]
templates:
  debug-prod:
    title: Debug production
    roles: [prod-db/read-only]
    durations: [30m, 1h, 4h]
    reason: {hint: Incident or ticket, pattern: "[A-Z]+-\\\\d+", example: INC-42}
  on-call: {title: "On-call: everything", roles: [prod-db/read-only, vault/ops], durations: [8h]}
"""


def policy() -> Catalog:
    """A policy with names that are easily confused."""
    return catalog(POLICY)


def lines() -> list[str]:
    """The typed lines of the golden file, with their escapes read."""
    return [_read(line[2:]) for line in FILE.read_text(encoding="utf-8").splitlines() if line.startswith("> ")]


def outcome(line: RequestLine) -> str:
    """What is understood, in one line."""
    what = " or ".join(line.names) + (" (which role?)" if line.partial else "")
    facts = {
        "what": what,
        "for": durations.words(line.duration) if line.duration is not None else "",
        "from": _spelled(line.starts_at),
        "reason": line.reason,
        "inputs": ", ".join(f"{name}: {value}" for name, value in line.inputs),
        "not understood": ", ".join(f'"{each}"' for each in line.unknown),
        "ask back": ", ".join(line.problems),
        "for somebody else": line.person,
    }
    said = "; ".join(f"{name}: {value}" for name, value in facts.items() if value) or "nothing"
    return f"{said}{'' if line.clear else '  [form]'}"


def _spelled(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%a %d %H:%M UTC") if at else ""


def escaped(line: str) -> str:
    """With what cannot be seen spelled out."""
    return "".join(
        sign if sign.isprintable() and sign != "\\" else sign.encode("unicode_escape").decode() for sign in line
    )


def spelled() -> str:
    """The golden file as it should be."""
    known, out = policy().vocabulary, list[str]()
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("> "):
            typed = _read(line[2:])
            out += [f"> {escaped(typed)}", f"  {outcome(parse_line(typed, known, CLOCK))}"]
        elif not line.startswith("  "):
            out.append(line)
    return "\n".join(out) + "\n"


def _read(text: str) -> str:
    """The line behind its escapes; everything else stays as it is."""
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


if __name__ == "__main__":
    FILE.write_text(spelled(), encoding="utf-8")
