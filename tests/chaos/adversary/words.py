"""Holds everything that the bot said against what it may have said: in Slack, in the archive, to a sink.

An intruder's values bear marks of two kinds. The name of what they made up may stand in an alarm, which says what was
set aside; the words that they put into it may stand nowhere.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.playground import Call
from tests.chaos.adversary.book import Book
from tests.chaos.adversary.doors import LATE, Doors
from tests.chaos.adversary.findings import ALL_OF_IT, Findings, Mutation
from tests.chaos.adversary.site import APPROVERS, AUDIT, CHANNEL, OPERATORS, SECURITY, TRAP, Site

MARK = re.compile(r"Z(?:NM|WD)\d{5}Z")
"""What every name (NM) and every word (WD) has in it that an intruder made up."""
_POSTS = {"chat.postMessage", "chat.update", "chat.delete", "chat.postEphemeral"}
_HANDS = "|".join(name.title() for name in (*APPROVERS, *SECURITY))
_APPROVED = re.compile(rf"\b({_HANDS})\b\*?(?: \([^)]*\))? approved")
_ACCOUNT = re.compile(r"jit[-_]j[-_]([2-9a-hj-np-z]{4,8})[-_]\d")
_FENCES = 2
"""More of them than one pair: a modal with a user and a password, each to be copied."""
_BY_PEOPLE = {"approved", "endorsed", "denied"}
_SEEN_LATE = 1.0
"""Seconds after which it is seen at the latest that another process posts."""


@dataclass
class Words:
    """One episode's."""

    site: Site
    book: Book
    doors: Doors
    findings: Findings
    replayed: Mapping[str, float]
    """The notices that an intruder asked for again, ``<request>|<audience>``, and when first."""
    posters: Sequence[float]
    """When another process than before was seen to post."""
    passwords: Sequence[tuple[str, str, str]]
    """Each that people were shown: the request, who they are, and what it is."""
    counts: Counter[str] = field(default_factory=Counter)
    moved: dict[str, list[float]] = field(default_factory=dict)
    """When each request moved on, as it is sealed."""
    lives: dict[str, list[str]] = field(default_factory=dict)
    """The sealed events of each request, a line each: number, version, time, kind, event."""

    def check(self) -> None:
        """All of it."""
        self._archive(self.site.directory / "home" / "archive.db")
        self._calls(self.site.slack.calls)
        self._shown()
        self._sink(self.site.shipped)

    # Slack

    def _calls(self, calls: Sequence[Call]) -> None:
        of: dict[tuple[str, str], tuple[str, str]] = {}
        posted: dict[tuple[str, str], list[float]] = {}
        for call in calls:
            # What is only asked of Slack, and the hash by which a view is compared, are no words to anybody.
            shown = {name: value for name, value in call.args.items() if name != "hash"}
            said = json.dumps(shown, ensure_ascii=False, default=str)
            if call.method in _POSTS or call.method.startswith("views."):
                self._marked(f"Slack's {call.method}", said, alarm=self._is_alarm(call))
            self._secret(call)
            if call.method not in _POSTS:
                continue
            self._in_its_place(call)
            if call.answer != "ok":
                continue
            self.counts[call.method] += 1
            about = _about(call.args)
            if call.method == "chat.postMessage" and about:
                of[str(call.result["channel"]), str(call.result["ts"])] = about
                posted.setdefault(about, []).append(call.at)
            elif call.method == "chat.update":
                self._same_message(call, of)
            elif call.method == "chat.delete":
                self._copy_only(call, of, posted)
            if about:
                self._true(about[0], call.at, said)
        for about, times in posted.items():
            self._once(about, times)

    def _secret(self, call: Call) -> None:
        """A password is shown in a modal of whose access it is, and while that is open."""
        said = json.dumps(call.args, default=str)
        shown = [(id_, who) for id_, who, password in self.passwords if password in said]
        view = self.site.slack.world.views.get(str(call.result.get("view", {}).get("id", "")))
        for id_, who in shown:
            if not call.method.startswith("views.") or view is None or view.user[1:].lower() != who:
                self.findings.add("a password shown to others", id_, f"{call.method} to {view.user if view else 'all'}")
        for name in _ACCOUNT.findall(said) if said.count("```") > _FENCES and call.method.startswith("views.") else ():
            entry = self.book.entries.get(f"J-{name.upper()}")
            end = self.doors.ends(entry) if entry else None
            if entry and (end is None or call.at > end + LATE):
                self.findings.add("a password made after the end", entry.id, f"{call.method}: {said[:200]}")

    def _is_alarm(self, call: Call) -> bool:
        """An alarm goes to the audit channel and says by a sign that it is one."""
        said = json.dumps(call.args, ensure_ascii=False, default=str)
        return call.args.get("channel") == AUDIT and any(sign in said for sign in (":rotating_light:", ":warning:"))

    def _marked(self, where: str, said: str, *, alarm: bool) -> None:
        for mark in sorted(set(MARK.findall(said))):
            if alarm and mark.startswith("ZNM"):
                self.counts["alarms that name what was set aside"] += 1
                continue
            mutation = self.findings.mutations.marks.get(mark)
            at = said.index(mark)
            text = said[max(0, at - 100) : at + 60]
            self.findings.add("words that the bot did not write", mark, f"{where}: …{text}… planted by {mutation}")

    def _in_its_place(self, call: Call) -> None:
        channel = str(call.args.get("channel", ""))
        if channel == TRAP or TRAP in json.dumps(call.args, default=str):
            self.findings.add("a message led astray", _request(call.args), f"{call.method} in {TRAP}")
        elif channel.startswith("C") and channel not in {CHANNEL, AUDIT}:
            self.findings.add("a message led astray", _request(call.args), f"{call.method} in {channel}")
        entry = self.book.entries.get(_request(call.args))
        who = channel[1:].lower() if channel[:1] in {"D", "U"} else ""
        if entry and who and who not in {entry.requester, *APPROVERS, *SECURITY, *OPERATORS}:
            self.findings.add("a message led astray", entry.id, f"{call.method} to {who}, and {entry.requester} asked")

    def _same_message(self, call: Call, of: Mapping[tuple[str, str], tuple[str, str]]) -> None:
        """A message stays that of its request: no other's words are written over it."""
        was = of.get((str(call.args.get("channel")), str(call.args.get("ts"))))
        now = _about(call.args)
        said = json.dumps(call.args, default=str)
        if was and ((now and now != was) or (was[0].startswith("J-") and was[0] not in said)):
            self.findings.add("a message led astray", was[0], f"{' '.join(was)} was written over: {said[:200]}")

    def _copy_only(
        self,
        call: Call,
        of: Mapping[tuple[str, str], tuple[str, str]],
        posted: Mapping[tuple[str, str], Sequence[float]],
    ) -> None:
        about = of.get((str(call.args.get("channel")), str(call.args.get("ts"))))
        if about and len(posted.get(about, ())) < 2:
            self.findings.add("a message taken away", about[0], f"the only {' '.join(about)} was deleted")

    def _once(self, about: tuple[str, str], times: Sequence[float]) -> None:
        if len(times) < 2:
            return
        self.counts["second copies"] += len(times) - 1
        asked = self.replayed.get("|".join(about))
        hurt = any(times[0] - 1.0 <= at <= times[-1] for at, _ in self.site.down)
        if asked is None or asked > times[-1] or hurt:
            return
        if self._needed(about[0], times):
            self.counts["second copies by another process, whose place was destroyed"] += 1
            return
        self.findings.add("told again since its row was replayed", about[0], f"{' '.join(about)}: {len(times)} times")

    def _needed(self, id_: str, times: Sequence[float]) -> bool:
        """Its place was taken away, and then another process posted: that one knows of no place but what Redis says."""
        done = self.findings.mutations.done
        gone = [m.at for m in done if m.at < times[-1] and _takes_places(m, id_)]
        return bool(gone) and any(times[0] <= at <= times[-1] + _SEEN_LATE for at in self.posters)

    def _true(self, id_: str, at: float, said: str) -> None:
        """What a message claims of people and doors is so."""
        entry = self.book.entries.get(id_)
        if entry is None:
            if id_.startswith("J-") and not self.book.unknown.total():
                self.findings.add("words that the bot did not write", id_, f"nobody asked for it: {said[:200]}")
            return
        for name in _APPROVED.findall(said):
            when = entry.approvals.get(name.lower())
            if when is None or when > at:
                text = f"it says that {name} approved, who did not: {said[:200]}"
                self.findings.add("words that the bot did not write", id_, text)

    def _shown(self) -> None:
        """Answers to people, modals and Home tabs."""
        for kind, payload in self.site.slack.payloads:
            said = json.dumps(payload, ensure_ascii=False, default=str)
            if kind != "message":  # messages were looked at with their place
                self._marked(f"a {kind}", said, alarm=False)
        for message in self.site.slack.world.messages:
            if message.to:
                self._marked(f"what {message.to} was told", message.said(), alarm=False)

    # the record

    def _archive(self, file: Path) -> None:
        if not file.exists():
            return
        seen: dict[tuple[str, int, str], int] = {}
        for table, row in _rows(file):
            said = json.dumps(row, ensure_ascii=False, default=str)
            alarm = row.get("kind") == "alarm"
            # Whatever else is there is an index over the events.
            self._marked(f"the archive's {table}", said, alarm=alarm or table != "jit_events")
            if table != "jit_events":
                continue
            self.counts["sealed events"] += 1
            self.counts["sealed alarms"] += alarm
            if row["version"]:
                key = str(row["id"]), int(row["version"]), str(row["event"])
                if key in seen:
                    text = f"version {key[1]} is sealed as {seen[key]} and again as {row['seq']}"
                    self.findings.add("an event sealed twice", key[0], text)
                seen[key] = int(row["seq"])
            self._event(row)
            if row["version"]:
                self.moved.setdefault(str(row["id"]), []).append(float(row["at"]))
                told = f"{row['seq']} v{row['version']} {row['at']:.3f} {row['kind']} {str(row['event'])[:400]}"
                self.lives.setdefault(str(row["id"]), []).append(told)

    def _event(self, row: Mapping[str, Any]) -> None:
        """A sealed decision was really made."""
        if row["kind"] not in _BY_PEOPLE or not row["version"]:
            return
        entry, review = self.book.entries.get(str(row["id"])), json.loads(str(row["event"])).get("review") or {}
        who = str((review.get("by") or {}).get("id", ""))[1:].lower()
        if entry is None:
            return
        made = who in entry.approvals if row["kind"] != "denied" else f"denied by {who}" == entry.closed_by
        if not made and row["kind"] != "denied":  # whether a denial was accepted, its answer may not have told
            text = f"{row['kind']} by {who or 'nobody'} is sealed as {row['seq']}, and nobody did that"
            self.findings.add("an event sealed that did not happen", str(row["id"]), text)

    def _sink(self, path: Path) -> None:
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        self.counts["shipped events"] = len(lines)
        for line in lines:
            self._marked("what was shipped", line, alarm='"alarm"' in line)


def _takes_places(mutation: Mutation, id_: str) -> bool:
    """Whether it may take away what says where the request's messages stand."""
    its = id_ in mutation.ids or id_ in mutation.said
    return mutation.kind == "store" or (its and (mutation.kind == "posts" or mutation.op == ALL_OF_IT))


def _about(args: Mapping[str, Any]) -> tuple[str, str] | None:
    told = (args.get("metadata") or {}).get("event_payload") or {}
    return (str(told["request"]), str(told["audience"])) if "request" in told and "audience" in told else None


def _request(args: Mapping[str, Any]) -> str:
    about = _about(args)
    return about[0] if about else ""


def _rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of every table, past the product."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in db.execute(f'SELECT * FROM "{name}"'):  # its own names
                yield name, {key: row[key] for key in row.keys() if not isinstance(row[key], bytes)}  # noqa: SIM118
