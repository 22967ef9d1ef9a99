"""Audit log files for an auditor in Slack: permission is checked and audited at once, the file generated later.

The web process needs no archive for them: a worker generates the file, bounded in size, from the archive, once all
events before the command are sealed (moved there from Redis), and audits what the file contains before it is sent. An
evidence pack is the signed history of one request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from bot.access import audit_query
from bot.access.context import AccessContext
from bot.audit import sealer
from bot.audit.archive.archive import Archive
from bot.audit.export import evidence, evidence_page, export
from bot.audit.export.evidence import NoEvidence
from bot.audit.export.export import NothingThere
from bot.audit.read_log import KIND, Read
from bot.core import human_times
from bot.core.errors import UnknownWord
from bot.core.ids import spelled
from bot.core.verdict import Actor
from bot.policy import loader
from bot.policy.permission_diff import Shift, shift
from bot.store.indexes.daily_claim import DailyClaims
from bot.store.keyring import KeyRing
from bot.store.store import Store

T = TypeVar("T")

FILE = "file"
"""The audience (the kind of message) of the outbox row that delivers a file."""
PAGE = "page"
"""The audience of the outbox row that delivers the HTML page of an evidence pack."""
MAX_BYTES = 8_000_000
_SENT_WINDOW = 86_400
"""Seconds within which repeated deliveries of a file are audited once."""
_MAX_TYPED = 60


class CannotMake(Exception):
    """There is no file to send; the sentence says why, and what to do."""


@dataclass(frozen=True)
class AuditFile:
    """One file. ``description``: what it contains, in a sentence; ``read``: the same for the audit log."""

    name: str
    content: bytes
    description: str
    read: Mapping[str, Any]


async def send_export(context: AccessContext, actor: Actor, words: str, form: export.Format) -> None:
    """Have an export sent. ``words``: the period, as typed. Raises `NotAllowed`, `UnknownWord`."""
    await audit_query.require_auditor(context, actor, "export")
    if not words:
        raise UnknownWord("export", ("export last week", "export yesterday csv"))
    now = await context.store.now()
    try:
        when = human_times.parse(words[:_MAX_TYPED], now)
    except human_times.BadTime as error:
        raise UnknownWord(words[:_MAX_TYPED], ("last week", "yesterday")) from error
    if when.at is not None:
        raise UnknownWord(words[:_MAX_TYPED], ("last week", "yesterday"))
    fields = {"format": form, "since": when.since, "until": when.until}
    await _enqueue(
        context, actor, Read(at=now, by="", read="export", asked={"when": words, "format": form}), fields, [FILE]
    )


async def send_evidence_pack(context: AccessContext, actor: Actor, id_: str) -> str:
    """Have the evidence pack of a request sent; returns its id. Raises `NotAllowed`, `NotFound`, `UnknownWord`."""
    await audit_query.require_auditor(context, actor, id_[:20])
    if not id_:
        raise UnknownWord("evidence", ("evidence J-7K3Q",))
    request_id = spelled(id_)
    now = await context.store.now()
    await _enqueue(context, actor, Read(at=now, by="", read="evidence", about=request_id), {}, [FILE, PAGE])
    return request_id


async def _enqueue(
    context: AccessContext, actor: Actor, read: Read, fields: Mapping[str, Any], audiences: list[str]
) -> None:
    """Audit the command and enqueue the delivery, in one script; idempotent within seconds."""
    user = actor.person.id
    read_fields = json.loads(read.model_copy(update={"by": user}).event_json())
    rows = [f"{user}|{audience}:#" for audience in audiences]
    await DailyClaims(context.store).enqueue_once(
        f"{read.read} {user} {read.about} {read.asked}", {**read_fields, **fields}, rows
    )


async def audit_sending(store: Store, event: Mapping[str, Any], row: str, made: AuditFile) -> None:
    """Audit what is about to be sent, once per delivery; ``event``: that of the command. Raises `StoreAway`."""
    now = await store.now()
    read = Read(at=now, by=str(event["by"]), read="sent", asked={"file": made.name}, **made.read)
    await store.audit_event(KIND, read.event_json(), window=_SENT_WINDOW, once=f"sent {row}")


@dataclass
class AuditFiles:
    """Generates the files in a thread; it opens the archive for each, since they are few. ``max_bytes``: of a file."""

    workspace: str
    home: Path
    url: str
    ring: KeyRing
    max_bytes: int = MAX_BYTES

    async def sealed(self, number: int) -> bool:
        """Whether the archive has all events up to a number. Raises `NoArchive`."""
        return await self._in_thread(lambda archive: _ends(archive, self.workspace) >= number)

    async def generate(self, event: Mapping[str, Any], kind: Literal["file", "page"]) -> AuditFile:
        """The file of a command; ``event``: that of the command. Raises `CannotMake`, `NoArchive`."""
        if event.get("read") == "evidence":
            return await self._in_thread(lambda archive: self._evidence(archive, event, page=kind == PAGE))
        return await self._in_thread(lambda archive: self._export(archive, event))

    def _export(self, archive: Archive, event: Mapping[str, Any]) -> AuditFile:
        form, when = event["format"], human_times.When(event.get("since"), event.get("until"))
        try:
            part = export.part_of(archive, self.workspace, None, None, when)
        except NothingThere as error:
            raise CannotMake(f"There is no export of `{event['asked']['when']}`: {error}.") from error
        content = bytearray()
        for line in export.export(archive, self.workspace, part, form, None, float(event["at"])):
            content += line.encode()
            if len(content) > self.max_bytes:
                raise CannotMake(
                    f"The export of `{event['asked']['when']}` would have more than {self.max_bytes:,} bytes. "
                    "Ask for a shorter time, or use `jit audit export` at a terminal, which has no limit."
                )
        rows = export.amount(archive, self.workspace, part, None)
        ending = "csv" if form == "csv" else "jsonl"
        name = f"audit-{part.first}-{part.last}{'-ocsf' if form == 'ocsf' else ''}.{ending}"
        description = export.description(part, None) + (
            f" `jit audit verify --file {name}` verifies it." if form == "jsonl" else ""
        )
        return AuditFile(name, bytes(content), description, {"rows": rows, "first": part.first, "last": part.last})

    def _evidence(self, archive: Archive, event: Mapping[str, Any], *, page: bool) -> AuditFile:
        try:
            found = evidence.pack(
                archive, self.workspace, str(event["about"]), sealer.signer(self.ring), float(event["at"])
            )
        except NoEvidence as error:
            raise CannotMake(f"There is no evidence to send: {error}.") from error
        text = evidence_page.page(found) if page else json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        name = f"evidence-{found['id']}.{'html' if page else 'json'}"
        if len(content := text.encode()) > self.max_bytes:
            raise CannotMake(
                f"{name} would have more than {self.max_bytes:,} bytes: use `jit audit evidence` at a terminal."
            )
        description = (
            "A page that prints, and checks itself in a browser without a network."
            if page
            else (f"The signed pack of {found['id']}; `jit audit verify --file {name}` verifies it.")
        )
        return AuditFile(name, content, description, evidence.shown(found))

    async def shifted(self, event: Mapping[str, Any]) -> Shift | None:
        """The rights gained and lost by a policy change; None when the archive lacks one of the two policies.

        Raises `NoArchive`.
        """
        ends = (str(event.get("was", "")), str(event.get("now", "")))

        def texts(archive: Archive) -> list[str | None]:
            return [archive.policy(self.workspace, generation) for generation in ends]

        before, after = (loader.of_text(text) if text else None for text in await self._in_thread(texts))
        return shift(before, after) if before and after else None

    async def _in_thread(self, call: Callable[[Archive], T]) -> T:
        def opened() -> T:
            with contextlib.closing(Archive.open(self.url, self.home)) as archive:
                return call(archive)

        return await asyncio.to_thread(opened)


def _ends(archive: Archive, workspace: str) -> int:
    last = archive.last(workspace)
    return last.last if last else 0
