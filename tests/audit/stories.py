"""What happened, told as events: the whole life of a request, written through the real store or put down as entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bot.audit.archive.archive import Archive
from bot.core import lifecycle
from bot.core.audit_chain import MOST, AuditEntry, Seal, Signer
from bot.core.events import AccessExpired, Approved, Event, GrantAttempted, Granted, Revoked, Submitted
from bot.core.request import Person, Request, Review, Verb
from bot.core.role_snapshot import RoleSnapshot
from bot.store.store import Store
from bot.store.types import Change
from tests.house import person

GENERATION = "0123456789abcdef"
HOUR = 3_600


def role(system: str, name: str = "read-only") -> RoleSnapshot:
    """A role of a system."""
    return RoleSnapshot(
        system=system,
        role=name,
        title=f"{system}: {name}",
        channel="C0VAULT01",
        provider="sandbox",
        params={"door": system},
        sensitivity="low",
        cap=8 * HOUR,
        consequence="opens a door",
        digest="d1",
    )


def submitted(id_: str, requester: Person, at: float, *systems: str) -> Submitted:
    """Someone asks for an hour."""
    return Submitted(
        at=at,
        by=requester.id,
        id=id_,
        requester=requester,
        what=" + ".join(f"{system}/read-only" for system in systems),
        title=systems[0].title(),
        reason="INC-1 is on fire",
        duration=HOUR,
        roles=tuple(role(system) for system in systems),
        generation=GENERATION,
        grant_budget=600,
        decide_by=at + HOUR,
    )


def life(
    id_: str, who: str, system: str = "vault", at: float = 1e9, workspace: str = "T000001", approver: str = "dan"
) -> list[Event]:
    """Asked at ``at``, approved 60 s later, open 2 s after that, expired an hour later and closed 1 s after."""
    review = Review(verb=Verb.APPROVE, by=person(workspace, approver), at=at + 60, duration=HOUR)
    prior = {"present": False, "facts": {}}
    facts = {"native": f"jit-{id_.lower()}-0"}
    return [
        submitted(id_, person(workspace, who), at, system),
        Approved(at=at + 60, by=review.by.id, review=review, duration=HOUR),
        GrantAttempted(at=at + 61, leg=0, subject=facts, target=system, prior=prior, in_flight_until=at + 70),
        Granted(at=at + 62, leg=0, receipt={**facts, "ours": True}),
        AccessExpired(at=at + 62 + HOUR),
        Revoked(at=at + 63 + HOUR, leg=0, outcome={"presence": "absent"}),
    ]


def entries(events: Iterable[Event], id_: str, first: int) -> Iterator[AuditEntry]:
    """The audit entries of one request, numbered from ``first``."""
    for n, event in enumerate(events):
        yield AuditEntry(first + n, round(event.at, 6), id_, n + 1, event.kind, event.model_dump_json())


def note(seq: int, at: float, kind: str = "refused", event: str = '{"by": "UMIA", "verb": "ask"}') -> AuditEntry:
    """An entry that changes no request."""
    return AuditEntry(seq, at, "", 0, kind, event)


def keep(archive: Archive, signer: Signer, workspace: str, told: Sequence[AuditEntry], most: int = MOST) -> list[Seal]:
    """Seal and archive entries, as the sealer does."""
    last, seals = archive.last(workspace), []
    for at in range(0, len(told), most):
        some = told[at : at + most]
        last = signer.seal(workspace, last, some, some[-1].at + 1)
        archive.append(last, some)
        seals.append(last)
    return seals


async def commit(store: Store, events: Sequence[Event]) -> Request:
    """Write the life of a request through the store."""
    before: Request | None = None
    for event in events:
        if before is None:
            assert isinstance(event, Submitted)
            after = lifecycle.begin(event)
        else:
            after = lifecycle.advance(before, event)
        await store.commit(Change(before, after, event))
        before = after
    assert before is not None
    return before


async def notes(store: Store, count: int, kind: str = "refused") -> None:
    """So many audit events that change no request."""
    for n in range(count):
        await store.audit_event(kind, f'{{"by":"UMIA","about":"vault/read-only","n":{n}}}')
