"""Durability before a provider is called: the record is in the store that we began with, and survives its server.

**The same store.** A store gets an id when the first process meets it. Each process notes the id at its start, and
the commit before a grant is refused where the store has another id or none (`OtherStore`): a Redis that was emptied,
lost its data or is another server grants nothing, while requests and revokes go on. A restart accepts the new store.
The id does not tell a copy, a promoted replica or a restored backup from its original: reconciling does.

**Replicated.** Where Redis has replicas, one of them must have the record of the attempt before the provider is called
(WAIT, on the connection of the commit, since it counts that connection's writes alone), else `Unreplicated`. That
replicas were seen once is kept in the store: a primary that lost its replicas looks like one that never had any, and
its writes are the ones about to be lost. ``JIT_REPLICAS`` sets the number; 0 does without.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError

from bot.core.errors import StoreAway
from bot.store.encoding import away, text
from bot.store.key_types import kinds
from bot.store.keys import Keys
from bot.store.quarantine import quarantine_wrong_types
from bot.store.types import CommitGuard, GuardFailed, OtherStore, Unreplicated

log = logging.getLogger(__name__)

PATIENCE: Final = 0.6
"""Seconds that replicas may take; under what a client waits for an answer."""


class Barrier:
    """The durability barrier of one workspace. ``replicas``: JIT_REPLICAS; None: what Redis reports."""

    def __init__(self, redis: Redis, keys: Keys, commit: AsyncScript, replicas: int | None = None) -> None:
        """Nothing is sent."""
        self._redis, self._keys, self._commit, self._replicas = redis, keys, commit, replicas
        self._wanted = replicas or 0
        self._id = ""

    async def begin(self) -> str:
        """Note which store this is, and whether it has, or ever had, replicas. Answers its id."""
        await quarantine_wrong_types(self._redis, kinds(self._keys))
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(self._keys.store, secrets.token_hex(8), nx=True)
            pipe.get(self._keys.store)
            pipe.get(self._keys.replicated)
            pipe.info("replication")
            *told, found = await away(pipe.execute(raise_on_error=False))
        if wrong := [error for error in told if isinstance(error, Exception)]:
            raise StoreAway(f"{type(wrong[0]).__name__}: {wrong[0]}") from wrong[0]
        _, id_, promised = told
        if self._replicas == 0 and promised:
            log.warning("JIT_REPLICAS is 0 and Redis had replicas: access may be granted that a failover forgets")
        elif self._replicas is None and promised:
            self._wanted = 1
        elif self._replicas is None and not isinstance(found, Exception):
            await self._notice(found)
        self._id = text(id_)
        return self._id

    async def same_store(self) -> CommitGuard:
        """Holds while this is the store that we began with."""
        return CommitGuard("EQUALS", self._keys.store, self._id or await self.begin())

    def failed(self, guard: CommitGuard) -> Exception:
        """What it means that a commit's guard failed."""
        if guard.key != self._keys.store:
            return GuardFailed(guard)
        log.critical("this is another store than the one that this process began with: it opens nothing here")
        return OtherStore(
            "not granted: this is another store than the one that the bot began with, and its records may be others; "
            "if it is meant to be this one, restart the bot"
        )

    async def commit(self, keys: Sequence[str], words: Sequence[Any]) -> Any:
        """The commit's answer, once the replicas have it. Raises `Unreplicated`, `StoreAway`."""
        wanted = self._wanted
        answer, told = await away(self._sent(keys, words, wanted))
        if text(answer[0]) != "OK":
            return answer
        if wanted:
            _enough(told, wanted)
        elif self._replicas is None and await self._notice(told):
            # A commit is idempotent: sent again, it changes nothing, and WAIT now counts its write on this connection.
            return await self.commit(keys, words)
        return answer

    async def _sent(self, keys: Sequence[str], words: Sequence[Any], wanted: int) -> tuple[Any, Any]:
        """The script and WAIT in one pipeline: WAIT on another connection would count another connection's writes."""
        try:
            return await self._asked(keys, words, wanted)
        except NoScriptError:
            await self._redis.script_load(self._commit.script)
            return await self._asked(keys, words, wanted)

    async def _asked(self, keys: Sequence[str], words: Sequence[Any], wanted: int) -> tuple[Any, Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            # By its hash: a script that a pipeline is given costs a question whether the server has it.
            pipe.evalsha(self._commit.sha, len(keys), *keys, *words)
            if wanted:
                pipe.wait(wanted, int(PATIENCE * 1000))
            elif self._replicas is None:
                pipe.info("replication")
            answer, *told = await pipe.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            raise answer
        return answer, told[0] if told else None

    async def _notice(self, found: Any) -> bool:
        """Whether replicas are seen for the first time; from now on commits wait for one."""
        if not isinstance(found, Mapping):
            raise Unreplicated(
                "Redis does not tell whether it has replicas (INFO replication is refused): allow the bot INFO, "
                "or set JIT_REPLICAS to how many must have a record before access is granted"
            )
        if not replicas_online(found):
            return False
        await away(self._redis.set(self._keys.replicated, "1"))
        log.info("Redis has replicas: from now on one must have a record before access is granted")
        self._wanted = 1
        return True


def replicas_online(replication: Mapping[str, Any]) -> int:
    """How many replicas follow, by INFO replication; one that is still being filled does not count."""
    numbers = range(int(replication.get("connected_slaves", 0)))
    found = [replication.get(f"slave{n}") for n in numbers]
    return sum(isinstance(one, Mapping) and one.get("state") == "online" for one in found)


def _enough(told: Any, wanted: int) -> None:
    if isinstance(told, Exception):
        raise Unreplicated(f"not granted: Redis refuses WAIT ({told}); allow it to the bot")
    if int(told) < wanted:
        raise Unreplicated(
            f"not granted: {wanted} of Redis' replicas must have the record first, {told} had it after {PATIENCE} s; "
            "see that a replica follows, or, if this Redis is to have none, set JIT_REPLICAS=0"
        )
