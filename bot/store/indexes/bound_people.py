"""What is bound to an e-mail address, sealed, and the index of the addresses; it judges no binding.

Each value carries a MAC. One that is forged, moved from another key or older than one that this process has seen is not
believed, and raises an alarm; in its place, and in place of one that is gone, counts what this process knows. Whoever
can write to Redis can therefore have a binding forgotten only by a process that has just started.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from bot.core.bound_person import BoundPerson
from bot.core.errors import CouldNotCheck
from bot.core.identity import identity_or_none
from bot.store.encoding import away, script, text
from bot.store.key_types import kind_of
from bot.store.store import Store

log = logging.getLogger(__name__)

_PERSON, _POINTER = "bound person", "bound address"
NOBODY = "-"
"""In place of the address of a stable id that is nobody's any more."""
_MOST_KNOWN = 50_000
_PAGE = 500
_SCANNED = 1_000
"""Keys of Redis that are passed by at once."""
_NOT_POINTERS = (None, ("identity:*", "string"))
Values = Mapping[str, str]
"""What lies at some keys; '' where there is nothing."""


class BoundPeople:
    """Those of one workspace. Its verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys, self._found = store, store.redis, store.keys, store.forged_values
        self._write = script(store.redis, "bound")
        self._people: dict[str, BoundPerson] = {}
        self._addresses: dict[str, str] = {}
        self._indexed: set[str] = set()

    # one person

    async def fetch(self, *keys: str) -> Values:
        """The values of these keys, in one round trip."""
        # Each by its own command: a value of another kind is set aside then, with an alarm.
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.get(key)
            found = await away(pipe.execute())
        return dict(zip(keys, map(text, found), strict=True))

    def person(self, identity: str, values: Values) -> BoundPerson:
        """What is bound to an address. Raises `CouldNotCheck` for what a later version of this product wrote."""
        key = self._keys.bound_person(identity)
        known, found = self._people.get(identity), self._opened(identity, key, values[key])
        if found and known and found.revision < known.revision:
            self._found.older(key)
            found = None
        best = found or known or BoundPerson(identity=identity)
        if best.revision:
            _remember(self._people, identity, best)
        return best

    def _opened(self, identity: str, key: str, value: str) -> BoundPerson | None:
        body = self._store.authorship.unwrapped(_PERSON, value)
        if not body:
            if value:
                self._found.wrong_mac(key, value.rpartition("|")[2])
            return None
        try:
            found = BoundPerson.model_validate_json(body)
        except ValidationError:
            raise CouldNotCheck("whose the address is: another version of this product wrote it down") from None
        if found.identity != identity:
            self._found.moved(key)
            return None
        return found

    def address(self, key: str, values: Values) -> str:
        """The address that an account, or a stable id, points to; '' for none."""
        value = values[key]
        address, _, tag = value.partition(" ")
        if value and not self._store.authorship.signed(tag, _POINTER, key, address):
            self._found.wrong_mac(key, tag)
            address = ""
        if address:
            _remember(self._addresses, key, address)
        address = address or self._addresses.get(key, NOBODY)
        return "" if address == NOBODY else address

    # writing

    def sealed(self, person: BoundPerson) -> str:
        """What is stored of a person."""
        return self._store.authorship.wrapped(_PERSON, person.model_dump_json(exclude_defaults=True))

    def pointer(self, key: str, address: str) -> str:
        """What is stored of the address that an account or a stable id has."""
        return f"{address} {self._store.authorship.sign(_POINTER, key, address)}"

    async def write(self, identity: str, read: Values, after: Mapping[str, str], said: Iterable[str] = ()) -> bool:
        """Put ``after`` in place of what was ``read``, with the event ``said``; False where something else is there.

        Both by key. What was written counts for this process from here on.
        """
        pairs = [word for key, value in after.items() for word in (read[key], value)]
        keys = [*self._store.event_keys, self._keys.bound_people, *after]
        answer = await away(self._write(keys=keys, args=[identity, self._keys.wake, *pairs, *said]))
        if text(answer) != "WRITTEN":
            return False
        for key in after:
            if key == self._keys.bound_person(identity):
                self.person(identity, after)
            elif kind_of(key) not in _NOT_POINTERS:
                self.address(key, after)
        return True

    async def index(self, identity: str) -> None:
        """Have the address in the index, once in the life of a process."""
        if identity not in self._indexed:
            await away(self._redis.zadd(self._keys.bound_people, {identity: 0}))
            self._indexed.add(identity)
        if len(self._indexed) > _MOST_KNOWN:
            self._indexed.clear()

    # all of them

    async def page(self, after: str, most: int) -> list[BoundPerson]:
        """The next people behind an address, in the order of their addresses.

        An entry of the index for which nothing of ours is bound is left out.
        """
        found: list[BoundPerson] = []
        last = after.encode()
        while len(found) < most and (names := await self._names(last)):
            found += await self._bound(list(map(text, names)))
            last = names[-1]
        return found[:most]

    async def _names(self, after: bytes) -> list[bytes]:
        # As they are in Redis: what is no text there, which only a forger writes, would be begun with again and again.
        low = b"(" + after if after else b"-"
        found: list[bytes] = await away(self._redis.zrangebylex(self._keys.bound_people, low, b"+", 0, _PAGE))  # type: ignore[arg-type]  # it takes bytes
        return found

    async def _bound(self, names: Sequence[str]) -> list[BoundPerson]:
        found: list[BoundPerson] = []
        ours = [name for name in names if identity_or_none(name) == name]
        values = await self.fetch(*map(self._keys.bound_person, ours)) if ours else {}
        for name in ours:
            person = await self.as_bound(self.person(name, values))
            if person.user or person.directories:
                found.append(person)
        return found

    async def as_bound(self, person: BoundPerson) -> BoundPerson:
        """A person with the account that counts. ``since`` is 0 where it is not known."""
        user = await self.account(person)
        return person if user == person.user else person.model_copy(update={"user": user, "since": 0.0})

    async def account(self, person: BoundPerson) -> str:
        """The Slack account of an address; '' for none.

        The binding of the account says so; where that is gone and no operator has freed it, the record does.
        """
        owner = await self._store.identities.owner(person.identity)
        return "" if owner.startswith("-") else owner or person.user

    async def missing(self) -> int:
        """How many bound addresses are not in the index. It passes all keys of Redis by: for rare use."""
        listed, last = set[str](), b""
        while names := await self._names(last):
            listed |= {self._keys.identity(name) for name in map(text, names)}
            last = names[-1]
        return len(await self._stored() - listed)

    async def _stored(self) -> set[str]:
        found, cursor, pattern = set[str](), 0, self._keys.any_identity
        while True:
            answer: Any = await away(self._redis.scan(cursor, match=pattern, count=_SCANNED))
            found |= set(map(text, answer[1]))
            if not (cursor := int(answer[0])):
                return found


def _remember(known: dict[str, Any], key: str, value: object) -> None:
    if len(known) > _MOST_KNOWN:
        known.clear()
    known[key] = value
