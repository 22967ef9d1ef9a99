"""What people lost by Slack's events, shared between processes: an account, or a membership of a user group.

It only takes away. Each decision reads a version counter, and the entries where it moved, so that no process believes
an answer of Slack's that is older than an event which another process got. None of it has a MAC: write access to Redis
can have people refused for a while, and deleting it falls back to the age of Slack's answers.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bot.core.errors import StoreAway
from bot.store.encoding import away, script, seconds, text
from bot.store.store import Store

log = logging.getLogger(__name__)

ACCOUNTS_KEPT = 3600
"""Seconds for which a lost account is remembered: by then each answer of Slack's is younger."""
GROUPS_KEPT = 300
"""The same for a place in a group: a user group is asked about each minute."""
_REVISION = "revision"
_BACK = "back"
_WRONG_KIND = "WRONGTYPE"
"""How Redis calls a key of another kind."""
_AHEAD = 300.0
"""Seconds by which Slack's clock may be ahead of the store's."""
_ACCOUNT = re.compile(r"[UW][A-Z0-9]{1,30}")
_GROUP = re.compile(r"S[A-Z0-9]{1,30}")
_VALUE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) (\w*)(?: ([A-Z0-9,]*))?")
REISSUED = "reissued"
"""The kind of a loss that a directory tells: the address was given to another person."""
_KINDS = frozenset({"deactivated", "guest", "bot", "external", "odd_email", "nobody", REISSUED})


@dataclass(frozen=True)
class InactiveAccount:
    """An account that is no active full member as of ``at``, Unix seconds. ``kind``: as `NotAMember` has it."""

    at: float
    kind: str


@dataclass(frozen=True)
class Left:
    """A user group as of ``at``: of those who are known, the ``users`` left, or (``only``) none but them stayed."""

    at: float
    users: frozenset[str]
    only: bool = False

    def remain(self, users: frozenset[str]) -> frozenset[str]:
        """Those who are still in it; nobody is added."""
        return users & self.users if self.only else users - self.users


@dataclass(frozen=True)
class KnownChanges:
    """All of it. ``gone`` by account, or by e-mail address where no account has it; ``left`` by user group."""

    gone: Mapping[str, InactiveAccount] = field(default_factory=dict)
    left: Mapping[str, tuple[Left, ...]] = field(default_factory=dict)


class DirectoryChanges:
    """The losses of one workspace, as one process knows them. Its verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._redis, self._keys = store.redis, store.keys
        self._note = script(store.redis, "changed")
        self._revision = ""
        self._values: dict[str, tuple[str, float]] = {}
        self._known = KnownChanges()
        self._over = float("inf")

    async def read(self) -> KnownChanges:
        """What is known now, by whichever process."""
        try:
            revision = text(await away(self._redis.hget(self._keys.changed, _REVISION)))
            if revision != self._revision or time.monotonic() >= self._over:
                await self._read()
        except StoreAway as error:
            await self._clear(error)
        return self._known

    async def _clear(self, error: StoreAway) -> None:
        """Throw away what is there, where it is of another kind than ours: else nobody could decide about anything."""
        if _WRONG_KIND not in str(error):
            raise error
        log.critical("what Slack said that people lost was overwritten in Redis; it is begun again")
        await away(self._redis.delete(self._keys.changed, self._keys.changed_until))

    async def _read(self) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.hgetall(self._keys.changed)
            pipe.zrange(self._keys.changed_until, 0, -1, withscores=True)
            at, found, until = await away(pipe.execute())
        now, values = seconds(at), {text(name): text(value) for name, value in found.items()}
        left = {text(name): end - now for name, end in until if end > now}
        # One of the future is none of ours: it would have later events ignored.
        sound = {n: v for n, v in values.items() if n in left and _VALUE.fullmatch(v) and _at(v) <= now + _AHEAD}
        self._merge({name: (value, left[name]) for name, value in sound.items()})
        self._revision = values.get(_REVISION, "")

    async def gone(self, who: str, at: float, kind: str) -> None:
        """An account, or an address that no active account has, is nobody's as of then."""
        await self._write(ACCOUNTS_KEPT, who, f"{at:.6f} {kind}")

    async def left(self, group: str, at: float, users: Iterable[str], *, only: bool = False) -> None:
        """These left a user group, or (``only``) none but these are in it, as of then."""
        word, listed = "only" if only else "left", ",".join(sorted(users))
        # Several changes within one second are all kept: each takes away.
        name = f"{group} {at:.6f} {word} {hashlib.sha256(listed.encode()).hexdigest()[:12]}"
        await self._write(GROUPS_KEPT, name, f"{at:.6f} {word} {listed}")

    async def back(self, who: str, at: float) -> None:
        """Slack answered, by something newer than the loss, that this is an active full member."""
        await self._write(ACCOUNTS_KEPT, who, f"{at:.6f} {_BACK}")

    async def _write(self, kept: int, name: str, value: str) -> None:
        # This process knows it also when the store does not take it.
        self._merge({name: (value, kept)})
        keys = [self._keys.changed, self._keys.changed_until]
        try:
            await away(self._note(keys=keys, args=[kept, name, value]))
        except StoreAway as error:
            await self._clear(error)
            await away(self._note(keys=keys, args=[kept, name, value]))

    def _merge(self, told: Mapping[str, tuple[str, float]]) -> None:
        """The later word counts; what this process has heard stays for its time, whatever the store says."""
        now = time.monotonic()
        for name, (value, kept) in told.items():
            known = self._values.get(name)
            if known is None or _at(value) >= _at(known[0]):
                self._values[name] = (value, now + kept)
        self._values = {name: each for name, each in self._values.items() if each[1] > now}
        self._over = min((until for _, until in self._values.values()), default=float("inf"))
        self._known = _known({name: value for name, (value, _) in self._values.items()})


def _at(value: str) -> float:
    return float(value.split(" ", 1)[0])


def _known(values: Mapping[str, str]) -> KnownChanges:
    gone: dict[str, InactiveAccount] = {}
    left: dict[str, tuple[Left, ...]] = {}
    for name, value in values.items():
        found = _VALUE.fullmatch(value)
        if found is None:
            continue
        at, word, listed = float(found[1]), found[2], found[3] or ""
        group = name.partition(" ")[0]
        if word in _KINDS and (_ACCOUNT.fullmatch(name) or "@" in name):
            gone[name] = InactiveAccount(at, word)
        elif word in {"left", "only"} and _GROUP.fullmatch(group):
            users = frozenset(user for user in listed.split(",") if user)
            left[group] = (*left.get(group, ()), Left(at, users, only=word == "only"))
    return KnownChanges(gone, left)
