"""One request as evidence: requested, decided, granted and revoked, with the seals that prove it; signed as a whole.

A pack is verified with nothing but a trusted key or checkpoint. It adds nothing to what was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bot.audit.archive import projection
from bot.audit.archive import queries as archive_search
from bot.audit.archive.archive import Archive
from bot.audit.archive.projection import Life
from bot.audit.export.export import NotAnExport, sealed_from, spelled
from bot.audit.verify import ChainFlaw, Report, What
from bot.core.audit_chain import AuditEntry, Head, Seal, Signer, attests
from bot.core.request import Request

FORMAT = "jit audit evidence 1"


class NoEvidence(LookupError):
    """There is no sealed request of that id."""


def pack(archive: Archive, workspace: str, id_: str, signer: Signer, now: float) -> dict[str, Any]:
    """The pack of the latest request that had an id. Raises `NoEvidence`, `NoArchive`."""
    found = archive_search.lives(archive, workspace, id_)
    if not found:
        raise NoEvidence(f"no sealed event tells of {id_}: it is younger than the last seal, or never was")
    born, request = found[0]
    events = archive_search.history(archive, workspace, id_, born)
    seals = {seal.n: seal for event in events if (seal := archive.seal_over(workspace, event.seq))}
    last = archive.last(workspace)
    body: dict[str, Any] = {
        "jit": FORMAT,
        "workspace": workspace,
        "id": id_,
        "made": now,
        **_facts(request, events),
        "policy": {"generation": request.generation, "files": _files(archive, workspace, request.generation)},
        "events": [event._asdict() for event in events],
        "seals": [spelled(seal) for seal in seals.values()],
        "head": str(last.head) if last else "",
    }
    signature = signer.sign(canonical(body).encode())
    return {**body, "signed": {"key": signer.public.hex(), "signature": signature.hex()}}


def shown(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a pack holds, in the form that the log of readers records."""
    numbers = [int(event["seq"]) for event in found["events"]]
    return {"about": found["id"], "rows": len(numbers), "first": min(numbers), "last": max(numbers)}


def canonical(body: Mapping[str, Any]) -> str:
    """The text that is signed: sorted, ASCII, and without a sign that HTML knows."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def read(text: str) -> dict[str, Any]:
    """A pack from its file. Raises `NotAnExport`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAnExport(f"this is no evidence pack: {error}") from None
    if not isinstance(found, dict) or found.get("jit") != FORMAT:
        raise NotAnExport("this is no evidence pack of a version that is known here")
    return found


def verify(found: Mapping[str, Any], heads: Sequence[Head] = (), trusted: Collection[bytes] | None = None) -> Report:
    """Verify a pack. Raises `NotAnExport` for what is none."""
    body = {name: value for name, value in found.items() if name != "signed"}
    try:
        key, signature = (bytes.fromhex(found["signed"][name]) for name in ("key", "signature"))
        seals = [sealed_from(seal) for seal in found["seals"]]
        events = [AuditEntry(**event) for event in found["events"]]
        request = Request.model_validate(found["request"])
    except (KeyError, TypeError, ValueError) as error:
        raise NotAnExport(f"this is no evidence pack ({type(error).__name__})") from None
    report = Report(keys=list(dict.fromkeys(seal.key for seal in seals)))
    try:
        _whole(events, request)
        _sealed(events, seals, report)
        _known(seals, heads, report)
        _signed(events, attests(key, canonical(body).encode(), signature), trusted is None or key in trusted)
        report.trusted = trusted is not None
    except ChainFlaw as flaw:
        report.flaw = flaw
    return report


def _facts(request: Request, events: Sequence[AuditEntry]) -> dict[str, Any]:
    """What an auditor asks for first, from the request as its events have it."""
    told = request.model_dump(mode="json")
    legs = [{name: leg[name] for name in ("n", "role", "prior", "receipt", "outcome")} for leg in told["legs"]]
    return {
        "request": told,
        "reviews": told["reviews"],
        "proofs": [event._asdict() for event in events if projection.proof(event)],
        "grants": [{"role": leg["role"], "before": leg["prior"], "receipt": leg["receipt"]} for leg in legs],
        "read_back": [{"leg": leg["n"], "outcome": leg["outcome"]} for leg in legs],
    }


def _files(archive: Archive, workspace: str, generation: str) -> Mapping[str, str] | None:
    """The policy's files by name; None where that generation was never archived."""
    text = archive.policy(workspace, generation)
    return None if text is None else dict(json.loads(text))


def _whole(events: Sequence[AuditEntry], request: Request) -> None:
    """Each version once, from the first on, and their replay is the request that is shown."""
    changes = [event for event in events if event.version]
    if not changes:
        raise ChainFlaw(What.REMOVED, 1, "the pack has no event of the request")
    life: Life | None = None
    for event in changes:
        version = life.request.version + 1 if life else 1
        # Of a record that was put back there may be versions that stood before; they tell nothing of the request.
        if event.version > version and event.kind != "record_restored":
            raise ChainFlaw(What.REMOVED, event.seq, f"version {version} of the request should come before it")
        life = projection.project(event, life).life
    if life is None or _shown(life.request) != _shown(request):
        raise ChainFlaw(
            What.CHANGED, changes[0].seq, "the request that is shown is not what the events tell", changes[-1].seq
        )


def _sealed(events: Sequence[AuditEntry], seals: Sequence[Seal], report: Report) -> None:
    for seal in seals:
        if not seal.signed():
            raise ChainFlaw(What.UNSIGNED, seal.first, "its seal is not what was signed", seal.last)
    for event in events:
        over = next((seal for seal in seals if seal.first <= event.seq <= seal.last), None)
        if over is None:
            raise ChainFlaw(What.ADDED, event.seq, "no seal covers it")
        if event.digest() != over.digest(event.seq):
            raise ChainFlaw(What.CHANGED, event.seq, "it is not what was sealed under its number")
    report.first, report.last, report.events = events[0].seq, events[-1].seq, len(events)
    report.head = seals[-1].head


def _signed(events: Sequence[AuditEntry], whole: bool, ours: bool) -> None:
    if not whole:
        raise ChainFlaw(What.CHANGED, events[0].seq, "the pack is not what was signed", events[-1].seq)
    if not ours:
        raise ChainFlaw(
            What.UNSIGNED, events[0].seq, "the pack is signed by a key that is not in JIT_KEYS", events[-1].seq
        )


def _known(seals: Sequence[Seal], heads: Sequence[Head], report: Report) -> None:
    for head in heads:
        for seal in seals:
            if seal.last == head.last and seal.head != head:
                raise ChainFlaw(What.REWRITTEN, seal.first, f"the known head at {head.last} is another", seal.last)
            report.heads += seal.head == head


def _shown(request: Request) -> Mapping[str, Any]:
    """What a reader sees of it: the lineage stands for the events, which are compared one by one."""
    return request.model_dump(mode="json", exclude={"lineage"})
