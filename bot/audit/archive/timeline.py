"""Queries over archive and window together: which events match, and who had which access at a moment.

It writes nothing, and says what it could not look at. The index finds events; what is shown are the events themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.audit.archive import projection
from bot.audit.archive import queries as archive_search
from bot.audit.archive.archive import Archive
from bot.audit.archive.index import lives_of
from bot.audit.archive.projection import Holding, Life
from bot.audit.archive.queries import Query
from bot.core.audit_chain import AuditEntry
from bot.core.identity import identity_or_none
from bot.core.request import Request


@dataclass(frozen=True)
class EventQuery:
    """What is looked for; each empty one fits all. ``since`` and ``until`` in Unix seconds.

    ``person``: an e-mail address, a Slack user id, or ``cli:<user>@<host>``. ``role``: ``system/role``. ``request``:
    its id, also for what was noted about it. ``before``: only what comes before the event of this number, to turn a
    page.
    """

    person: str = ""
    system: str = ""
    role: str = ""
    kind: str = ""
    since: float | None = None
    until: float | None = None
    before: int | None = None
    most: int = 50
    request: str = ""


@dataclass(frozen=True)
class Page:
    """Events, the newest first; ``more``: the number to turn the page with, None on the last one."""

    entries: Sequence[AuditEntry]
    more: int | None

    @property
    def shown(self) -> dict[str, int]:
        """How many, and between which numbers, as the record has it of who reads them."""
        numbers = [entry.seq for entry in self.entries]
        return {"rows": len(numbers), "first": min(numbers, default=0), "last": max(numbers, default=0)}


class UnknownNumber(LookupError):
    """No event has this number, so that no page begins there."""


@dataclass
class Timeline:
    """One workspace's events: those in the archive, and the ``tail`` of the window that is not sealed yet.

    ``archive`` is None where there is none, ``tail`` is empty where Redis is not at hand.
    """

    workspace: str
    archive: Archive | None
    tail: Sequence[AuditEntry] = ()
    _words: dict[int, set[str]] = field(default_factory=dict, init=False)
    _people: set[tuple[str, str]] = field(default_factory=set, init=False)
    _lives: dict[str, Life] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Read the tail on from what the archive knows."""
        lives = self._archived({name for entry in self.tail if (name := projection.about(entry))})
        for entry in self.tail:
            told = projection.project(entry, lives.get(projection.about(entry)))
            self._words[entry.seq] = told.words
            self._people |= told.people
            if entry.version and told.life:
                lives[entry.id] = self._lives[entry.id] = told.life

    def search(self, wanted: EventQuery) -> Page:
        """A page of events. Raises `UnknownNumber`, `NoArchive`."""
        before = self._place(wanted.before) if wanted.before is not None else None
        query = Query(self._groups(wanted), wanted.since, wanted.until, before, wanted.most + 1, wanted.request)
        found = [entry for entry in self.tail if self._fits(entry, query)]
        if self.archive:
            # What was sealed since the tail was read is in both.
            archived = archive_search.find(self.archive, self.workspace, query)
            found += [entry for entry in archived if entry.seq not in self._words]
        found.sort(key=lambda entry: (entry.at, entry.seq), reverse=True)
        page = found[: wanted.most]
        return Page(page, page[-1].seq if len(found) > wanted.most else None)

    def holders(self, at: float, wanted: EventQuery) -> list[Holding]:
        """Who held what, or may have held it, at a moment (Unix seconds). Raises `NoArchive`."""
        found = archive_search.standing(self.archive, self.workspace, at) if self.archive else []
        found = [h for h in found if h.id not in self._lives or h.born != self._lives[h.id].born]
        found += [h for life in self._lives.values() for h in life.holdings if projection.held(h, at)]
        users = self._users(wanted.person) if wanted.person else set()
        return sorted(
            (
                holding
                for holding in found
                if (not users or holding.user in users)
                and wanted.system in {"", holding.system}
                and wanted.role in {"", f"{holding.system}/{holding.role}"}
                and wanted.request in {"", holding.id}
            ),
            key=lambda holding: (holding.tried_at, holding.id, holding.leg),
        )

    def request(self, id_: str) -> tuple[int, Request] | None:
        """The latest request that had an id, as far as its events tell, and the number of its first."""
        life = self._lives.get(id_) or self._archived({id_}).get(id_)
        return (life.born, life.request) if life else None

    def named(self, what: str) -> frozenset[str]:
        """Every name of a person, system, role, kind or request that events are found by; of people also addresses."""
        kind = projection.word(what, "")
        words = {word.removeprefix(kind) for some in self._words.values() for word in some if word.startswith(kind)}
        if self.archive:
            words |= archive_search.names(self.archive, self.workspace, what)
        return frozenset(words | ({identity for identity, _ in self._people} if what == "person" else set()))

    def _archived(self, ids: set[str]) -> dict[str, Life]:
        if not self.archive or not ids:
            return {}
        with self.archive.begun() as db:
            return lives_of(db, self.workspace, sorted(ids))

    def _groups(self, wanted: EventQuery) -> tuple[tuple[str, ...], ...]:
        """The words, the rarest kind of word first: it leads the search."""
        groups: list[tuple[str, ...]] = []
        if wanted.person:
            groups.append(tuple(sorted(projection.word("person", user) for user in self._users(wanted.person))))
        named: Mapping[str, str] = {"role": wanted.role, "system": wanted.system, "kind": wanted.kind}
        return (*groups, *((projection.word(what, name),) for what, name in named.items() if name))

    def _users(self, name: str) -> set[str]:
        """Whose events a name stands for: an id for itself, an address for whichever accounts it was bound to."""
        address = identity_or_none(name)
        known = {user for identity, user in self._people if identity == address}
        return {name, *known, *(archive_search.users(self.archive, self.workspace, name) if self.archive else ())}

    def _place(self, number: int) -> tuple[float, int]:
        at = next((entry.at for entry in self.tail if entry.seq == number), None)
        if at is None and self.archive:
            at = archive_search.moment(self.archive, self.workspace, number)
        if at is None:
            raise UnknownNumber(f"there is no event {number} to go on from")
        return at, number

    def _fits(self, entry: AuditEntry, query: Query) -> bool:
        words = self._words[entry.seq]
        return (
            all(words.intersection(group) for group in query.words)
            and (not query.request or entry.id == query.request or projection.word("request", query.request) in words)
            and (query.since is None or entry.at >= query.since)
            and (query.until is None or entry.at < query.until)
            and (query.before is None or (entry.at, entry.seq) < query.before)
        )
