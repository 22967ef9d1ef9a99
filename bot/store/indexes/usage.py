"""The usage ledgers: who has, or has requested, each role and system that has limits or conflicts. One value each.

A ledger has a MAC and a number. The commit that changes what it counts writes it, guarded by the value that the verdict
has read. One that is missing, forged, older than this process knows, or of another policy, is unknown: nothing new is
allowed by it, and a worker counts again (bot/worker/usage_counter.py). It only lists requests: whether one still has
its place, its record says, so that what ends gives its place back in the commit that ends it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError
from redis.asyncio import Redis

from bot.core.frozen import Frozen
from bot.core.request import ID_PATTERN, Request
from bot.core.usage import PastDenial, Usage, UsageEntry, is_live, usage_entry
from bot.store.encoding import away, raised, script, text
from bot.store.forged_values import ForgedValues
from bot.store.keys import Keys
from bot.store.record_seal import Authorship
from bot.store.types import CommitGuard, ExtraWrite, Loaded

KEPT: Final = 8 * 86_400
"""Seconds after its last change until a ledger is gone; a worker writes it again long before."""
MOST: Final = 5_000
"""Requests, and denials, that one ledger lists; beyond them it is unknown, and nothing new is allowed."""
_FOREIGN: Final = "?"
_MARKER: Final = re.compile(rf"\?(?: {ID_PATTERN.removeprefix('^').removesuffix('$')})?")
"""What `UsageStore.mark_unknown` writes, and what is read in place of a value of another type, which is reported."""


class UsageLedger(Frozen):
    """What was counted by the policy ``generation``; ``n`` counts its versions, ``at`` is when it was written."""

    n: int
    at: float
    generation: str
    uses: Annotated[tuple[UsageEntry, ...], Field(max_length=MOST)] = ()
    denials: Annotated[tuple[PastDenial, ...], Field(max_length=MOST)] = ()


@dataclass(frozen=True)
class StoredUsage:
    """The use of one role or system, as it was read. ``stored``: the value, for the guard.

    ``usage``: None where it is unknown; ``n``: the number of the ledger, or the newest that is known; ``next_end``:
    when the first access to it ends, 0 where none has an end.
    """

    scope: str
    stored: bytes
    usage: Usage | None
    n: int
    at: float = 0
    next_end: float = 0


@dataclass
class UsageStore:
    """The ledgers of one workspace, and the newest number of each that this process has seen.

    ``load``: the records of some requests, those with our MAC.
    """

    redis: Redis
    keys: Keys
    authorship: Authorship
    forged_values: ForgedValues
    load: Callable[[Sequence[str]], Awaitable[list[Loaded]]]
    _newest: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Register the script; nothing is sent."""
        self._write = script(self.redis, "usage")

    async def read(self, scopes: Iterable[str], generation: str) -> dict[str, StoredUsage]:
        """The use of these roles and systems, counted by this policy; without any, nothing is sent."""
        names = list(dict.fromkeys(scopes))
        if not names:
            return {}
        while True:
            newest = [self._newest.get(name, 0) for name in names]
            values = await self._values(names)
            # What was sent for before a newer ledger was known may be older than that, and is nobody's doing.
            if newest == [self._newest.get(name, 0) for name in names]:
                break
        found = {name: self._opened(name, value, generation) for name, value in zip(names, values, strict=True)}
        ids = {use.id for each in found.values() if each.usage for use in each.usage.uses if use.live}
        loaded = {each.request.id: each for each in await self.load(sorted(ids))}
        return {name: _by_records(each, loaded) for name, each in found.items()}

    async def _values(self, names: Sequence[str]) -> list[bytes]:
        async with self.redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.get(self.keys.usage(name))
            found: list[Any] = await away(pipe.execute(raise_on_error=False))
        for each in found:
            if isinstance(each, Exception) and not str(each).startswith("WRONGTYPE"):
                await away(raised(each))
        return [_FOREIGN.encode() if isinstance(each, Exception) else each or b"" for each in found]

    def _opened(self, scope: str, value: bytes, generation: str) -> StoredUsage:
        known = self._newest.get(scope, 0)
        ledger = self._ledger(scope, text(value))
        if ledger is not None and ledger.n < known:
            # One that was lost is written again under a number above all that anybody remembers (`replace`).
            self.forged_values.older(self.keys.usage(scope))
        if ledger is None or ledger.n < known:
            return StoredUsage(scope, value, None, known)
        self._newest[scope] = ledger.n
        usage = Usage(uses=ledger.uses, denials=ledger.denials) if ledger.generation == generation else None
        return StoredUsage(scope, value, usage, ledger.n, ledger.at)

    def _ledger(self, scope: str, value: str) -> UsageLedger | None:
        body, _, tag = value.rpartition("|")
        if not self.authorship.signed(tag, "usage", scope, body):
            if value and not _MARKER.fullmatch(value):
                self.forged_values.wrong_mac(self.keys.usage(scope), tag)
            return None
        try:
            return UsageLedger.model_validate_json(body)
        except ValidationError:  # another version of this product wrote it
            return None

    # writing

    def guard(self, counted: StoredUsage) -> CommitGuard:
        """Holds while the ledger is the one that was read."""
        return CommitGuard("EQUALS", self.keys.usage(counted.scope), text(counted.stored))

    def usage_write(self, counted: StoredUsage, usage: Usage, generation: str, now: float) -> ExtraWrite:
        """Writes the ledger with this use, in the commit that changes it."""
        value = self._sealed(counted.scope, counted.n + 1, usage, generation, now)
        return ExtraWrite("SET", self.keys.usage(counted.scope), (value, "EX", str(KEPT)))

    def mark_unknown(self, scope: str, id_: str) -> ExtraWrite:
        """Marks an unknown ledger as changed, so that a worker that is counting begins again."""
        return ExtraWrite("SET", self.keys.usage(scope), (f"{_FOREIGN} {id_}", "EX", str(KEPT)))

    def committed(self, counted: StoredUsage) -> None:
        """The commit of `usage_write` succeeded: an older ledger is not trusted from here on."""
        self._newest[counted.scope] = max(self._newest.get(counted.scope, 0), counted.n + 1)

    async def replace(self, counted: StoredUsage, usage: Usage, generation: str, now: float) -> bool:
        """Write what a worker counted, if the ledger and the policy are still those of its start.

        Its number is higher than any that another process may remember of a ledger that was lost: microseconds.
        """
        n = max(counted.n + 1, int(now * 1e6))
        value = self._sealed(counted.scope, n, usage, generation, now)
        keys = [self.keys.usage(counted.scope), self.keys.policy]
        answer = await away(self._write(keys=keys, args=[counted.stored, generation, value, KEPT]))
        if text(answer) != "WRITTEN":
            return False
        self._newest[counted.scope] = n
        return True

    async def forget(self, scopes: Iterable[str]) -> None:
        """Delete ledgers that the policy has no use for: nobody keeps them up to date."""
        if keys := [self.keys.usage(scope) for scope in scopes]:
            await away(self.redis.delete(*keys))

    def _sealed(self, scope: str, n: int, usage: Usage, generation: str, now: float) -> str:
        ledger = UsageLedger.model_construct(n=n, at=now, generation=generation, uses=usage.uses, denials=usage.denials)
        body = json.dumps(ledger.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))
        return f"{body}|{self.authorship.sign('usage', scope, body)}"


def _by_records(counted: StoredUsage, loaded: Mapping[str, Loaded]) -> StoredUsage:
    """With the places of requests whose records say that they are over given back.

    A request without a record of ours, or whose record was rolled back, keeps its place: nothing says that it ended.
    """
    if counted.usage is None:
        return counted
    uses, records = list[UsageEntry](), list[Request]()
    for use in counted.usage.uses:
        found = loaded.get(use.id)
        if use.live and found and not found.rolled_back and found.request.created_at == use.requested_at:
            records.append(found.request)
            now = usage_entry(found.request, counted.scope)
            # What the ledger knows of an approval, no record takes back: it may be one of before.
            uses.append(now.model_copy(update={"approved_at": use.approved_at or now.approved_at}))
        else:
            uses.append(use)
    ends = (request.ends_at for request in records if request.ends_at and is_live(request, counted.scope))
    usage = counted.usage.model_copy(update={"uses": tuple(uses)})
    return StoredUsage(counted.scope, counted.stored, usage, counted.n, counted.at, min(ends, default=0.0))
