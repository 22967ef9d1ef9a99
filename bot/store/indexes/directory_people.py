"""Whose an address is in a directory, as a worker last read it: sealed, by directory and address; it asks nobody.

Write access to Redis can delete one, or put back one of ours: then somebody's end there is found later, or not by the
id. Who is inactive, which is what counts, is in `directory_snapshots`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from bot.core.frozen import Frozen
from bot.core.identity import identity_or_none
from bot.store.encoding import away, text
from bot.store.store import Store

KEPT: Final = 86_400
_WANTED_AGAIN: Final = 600.0
"""Seconds after which this process asks for somebody to be read again."""
_MOST_WANTED: Final = 20_000
_PAGE: Final = 500
_PERSON: Final = "directory person"


class PersonSnapshot(Frozen):
    """A person of a directory as of ``at``, Unix seconds of the store's clock; ``source``: the directory's fingerprint.

    ``id``: the directory's own, as it was when somebody had the address; '' where nobody ever had. ``active``: None
    where nobody has the address now.
    """

    directory: str
    identity: str
    source: str
    at: float
    id: str = ""
    active: bool | None = None
    attributes: Mapping[str, str] = {}


@dataclass
class DirectoryPeople:
    """Those of one workspace. Its verbs raise `StoreAway`."""

    store: Store
    _asked_at: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    async def read(self, directory: str, source: str, identities: Sequence[str]) -> dict[str, PersonSnapshot]:
        """What is known of these, by identity; of another directory of this name nothing counts."""
        found: dict[str, PersonSnapshot] = {}
        expected = directory, source
        for first in range(0, len(identities), _PAGE):
            page = identities[first : first + _PAGE]
            keys = [self.store.keys.directory_person(directory, who) for who in page]
            values = await away(self.store.redis.mget(keys))
            opened = (self._opened(key, text(value)) for key, value in zip(keys, values, strict=True))
            found |= {
                who: person
                for who, person in zip(page, opened, strict=True)
                if person and (person.directory, person.source) == expected and person.identity == who
            }
        return found

    async def write(self, person: PersonSnapshot) -> None:
        """Keep it in place of the one before."""
        key = self.store.keys.directory_person(person.directory, person.identity)
        value = self.store.authorship.wrapped(_PERSON, person.model_dump_json(exclude_defaults=True))
        await away(self.store.redis.set(key, value, ex=KEPT))

    def _opened(self, key: str, value: str) -> PersonSnapshot | None:
        body = self.store.authorship.unwrapped(_PERSON, value)
        if value and not body:
            self.store.forged_values.wrong_mac(key, value.rpartition("|")[2])
        try:
            return PersonSnapshot.model_validate_json(body) if body else None
        except ValidationError:  # another version of this product wrote it
            return None

    # who is to be read

    async def want(self, identity: str) -> None:
        """Have a worker read this person soon. Anybody who can write there can have anybody read, which is harmless."""
        now = time.monotonic()
        if now - self._asked_at.get(identity, -1e9) < _WANTED_AGAIN:
            return
        if len(self._asked_at) >= _MOST_WANTED:
            self._asked_at.clear()
        self._asked_at[identity] = now
        async with self.store.redis.pipeline(transaction=True) as pipe:
            pipe.sadd(self.store.keys.people_wanted, identity)
            pipe.expire(self.store.keys.people_wanted, int(_WANTED_AGAIN))
            await away(pipe.execute())

    async def wanted(self, most: int) -> set[str]:
        """Some of those who are to be read; they are taken out."""
        found: Any = await away(self.store.redis.spop(self.store.keys.people_wanted, most))
        return {who for each in found if (who := identity_or_none(text(each)))}
