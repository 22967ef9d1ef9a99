"""Files of the record that an auditor asks for in Slack: judged and recorded when asked for, made later, and bounded.

Whoever answers Slack needs no archive for it: a worker makes the file out of the archive once what came before the
question is sealed, and notes what it holds before it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from bot import policy_file, times
from bot.core.errors import UnknownWord
from bot.core.rights import Shift, shift
from bot.desk import Desk
from bot.keyring import KeyRing
from bot.record import evidence, evidence_page, exporting, looking, sealing
from bot.record.archive import Archive
from bot.record.evidence import NoEvidence
from bot.record.exporting import NothingThere
from bot.record.reads import KIND, Read
from bot.store.dated import Dated
from bot.store.store import Store
from bot.wishes import Actor, spelled

T = TypeVar("T")

FILE = "file"
"""The audience of a file that somebody asked for."""
PAGE = "page"
"""The audience of the page beside a pack of evidence."""
MOST_BYTES = 8_000_000
_SENT_FOR = 86_400
"""Seconds in which a file that is sent again is noted once."""
_LONGEST = 60


class CannotMake(Exception):
    """There is no such file to send; the sentence says why, and what to do."""


@dataclass(frozen=True)
class Made:
    """One file. ``said``: what it holds, in a sentence; ``read``: the same for the record."""

    name: str
    content: bytes
    said: str
    read: Mapping[str, Any]


async def export(desk: Desk, actor: Actor, words: str, form: exporting.Format) -> None:
    """Have an export sent. ``words``: of which time. Raises `NotAllowed`, `UnknownWord`."""
    await looking.require(desk, actor, "export")
    if not words:
        raise UnknownWord("export", ("export last week", "export yesterday csv"))
    now = await desk.store.now()
    try:
        when = times.parse(words[:_LONGEST], now)
    except times.BadTime as error:
        raise UnknownWord(words[:_LONGEST], ("last week", "yesterday")) from error
    if when.at is not None:
        raise UnknownWord(words[:_LONGEST], ("last week", "yesterday"))
    facts = {"format": form, "since": when.since, "until": when.until}
    await _ask(desk, actor, Read(at=now, by="", read="export", asked={"when": words, "format": form}), facts, [FILE])


async def pack(desk: Desk, actor: Actor, id_: str) -> str:
    """Have the evidence of a request sent. Its id. Raises `NotAllowed`, `NotFound`."""
    await looking.require(desk, actor, id_[:20])
    if not id_:
        raise UnknownWord("evidence", ("evidence J-7K3Q",))
    known = spelled(id_)
    now = await desk.store.now()
    await _ask(desk, actor, Read(at=now, by="", read="evidence", about=known), {}, [FILE, PAGE])
    return known


async def _ask(desk: Desk, actor: Actor, read: Read, facts: Mapping[str, Any], audiences: list[str]) -> None:
    """That it is asked for and the notices that will bring it, in one script; the same within seconds is one."""
    user = actor.person.id
    said = json.loads(read.model_copy(update={"by": user}).facts())
    rows = [f"{user}|{audience}:#" for audience in audiences]
    await Dated(desk.store).asked(f"{read.read} {user} {read.about} {read.asked}", {**said, **facts}, rows)


async def sent(store: Store, noted: Mapping[str, Any], row: str, made: Made) -> None:
    """Note what is about to be sent, once a notice. Raises `StoreAway`."""
    now = await store.now()
    read = Read(at=now, by=str(noted["by"]), read="sent", asked={"file": made.name}, **made.read)
    await store.note(KIND, read.facts(), window=_SENT_FOR, once=f"sent {row}")


@dataclass
class Files:
    """Makes them, in a thread, out of the archive, which is opened for each: they are few. ``most`` in bytes."""

    workspace: str
    home: Path
    url: str
    ring: KeyRing
    most: int = MOST_BYTES

    async def sealed(self, number: int) -> bool:
        """Whether all events up to a number are in the archive. Raises `NoArchive`."""
        return await self._aside(lambda archive: _ends(archive, self.workspace) >= number)

    async def of(self, noted: Mapping[str, Any], kind: Literal["file", "page"]) -> Made:
        """The file that an event asks for. Raises `CannotMake`, `NoArchive`."""
        if noted.get("read") == "evidence":
            return await self._aside(lambda archive: self._evidence(archive, noted, page=kind == PAGE))
        return await self._aside(lambda archive: self._export(archive, noted))

    def _export(self, archive: Archive, noted: Mapping[str, Any]) -> Made:
        form, when = noted["format"], times.When(noted.get("since"), noted.get("until"))
        try:
            part = exporting.part_of(archive, self.workspace, None, None, when)
        except NothingThere as error:
            raise CannotMake(f"There is no export of `{noted['asked']['when']}`: {error}.") from error
        content = bytearray()
        for line in exporting.export(archive, self.workspace, part, form, None, float(noted["at"])):
            content += line.encode()
            if len(content) > self.most:
                raise CannotMake(
                    f"The export of `{noted['asked']['when']}` would have more than {self.most:,} bytes. Ask for a "
                    "shorter time, or use `jit audit export` at a terminal, which has no limit."
                )
        rows = exporting.amount(archive, self.workspace, part, None)
        ending = "csv" if form == "csv" else "jsonl"
        name = f"audit-{part.first}-{part.last}{'-ocsf' if form == 'ocsf' else ''}.{ending}"
        said = exporting.said(part, None) + (
            f" `jit audit verify --file {name}` verifies it." if form == "jsonl" else ""
        )
        return Made(name, bytes(content), said, {"rows": rows, "first": part.first, "last": part.last})

    def _evidence(self, archive: Archive, noted: Mapping[str, Any], *, page: bool) -> Made:
        try:
            found = evidence.pack(
                archive, self.workspace, str(noted["about"]), sealing.signer(self.ring), float(noted["at"])
            )
        except NoEvidence as error:
            raise CannotMake(f"There is no evidence to send: {error}.") from error
        text = evidence_page.page(found) if page else json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        name = f"evidence-{found['id']}.{'html' if page else 'json'}"
        if len(content := text.encode()) > self.most:
            raise CannotMake(
                f"{name} would have more than {self.most:,} bytes: use `jit audit evidence` at a terminal."
            )
        said = (
            "A page that prints, and checks itself in a browser without a network."
            if page
            else (f"The signed pack of {found['id']}; `jit audit verify --file {name}` verifies it.")
        )
        return Made(name, content, said, evidence.shown(found))

    async def shifted(self, noted: Mapping[str, Any]) -> Shift | None:
        """Who gained and who lost by a change of the policy; None where a text of it is not in the archive.

        Raises `NoArchive`.
        """
        ends = (str(noted.get("was", "")), str(noted.get("now", "")))

        def texts(archive: Archive) -> list[str | None]:
            return [archive.policy(self.workspace, generation) for generation in ends]

        before, after = (policy_file.of_text(text) if text else None for text in await self._aside(texts))
        return shift(before, after) if before and after else None

    async def _aside(self, call: Callable[[Archive], T]) -> T:
        def opened() -> T:
            with contextlib.closing(Archive.open(self.url, self.home)) as archive:
                return call(archive)

        return await asyncio.to_thread(opened)


def _ends(archive: Archive, workspace: str) -> int:
    last = archive.last(workspace)
    return last.last if last else 0
