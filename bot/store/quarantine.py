"""A Redis client that quarantines values of a wrong type for a day, and sends the command again.

Only a writer that goes past our scripts can give a key another type. The value is kept for inspection under the key's
name with ``:aside`` behind it, and raises an alarm (see worker/tamper_alarms.py).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError, ResponseError

from bot.store.encoding import away, script, text
from bot.store.key_types import kind_of

log = logging.getLogger(__name__)

ASIDE: Final = ":aside"
_KEPT = 86_400


class Client(Redis):
    """A client of the store. ``found``: the names of keys (as in `KINDS`) in quarantine that are not alarmed yet."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """As redis-py's."""
        super().__init__(*args, **options)
        self.found: set[str] = set()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """One command, sent again when it met a value of a wrong type."""
        try:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py
        except ResponseError as error:
            if not wrong_kind(error) or not await self.set_aside(args):
                raise
        return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """A pipeline of the same habit."""
        pipe = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.owner = self
        return pipe

    async def set_aside(self, words: Iterable[Any]) -> bool:
        """Set aside whatever is of a wrong kind among the keys that a command names. Whether anything was."""
        keys = {key: kind for key in _texts(words) if (kind := kind_of(key))}
        if not keys:
            return False
        names = [(key, _beside(key)) for key in keys]
        kinds = [kind for _, kind in keys.values()]
        try:
            aside = await self._aside([key for pair in names for key in pair], [_KEPT, *kinds])
        except RedisError as error:
            log.warning("a value of the wrong type could not be quarantined: %s", error)
            return False
        for number in aside:
            key, _ = names[number - 1]
            self._note(keys[key][0], key)
        return bool(aside)

    async def _aside(self, keys: Sequence[str], words: Sequence[Any]) -> list[int]:
        found: list[int] = await script(self, "aside")(keys=keys, args=words)
        return found

    def _note(self, name: str, key: str) -> None:
        log.critical("%.200r was of another kind than ours, somebody wrote it past us; it is set aside for a day", key)
        self.found.add(name)


class _Pipeline(Pipeline):
    """Commands in one go; those that met a value of a wrong kind are made again, and no other is."""

    owner: Client

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The answers, in order."""
        stack = list(self.command_stack)
        answers = await super().execute(raise_on_error=False)
        wrong = [n for n, answer in enumerate(answers) if isinstance(answer, ResponseError) and wrong_kind(answer)]
        if wrong and await self.owner.set_aside(word for n in wrong for word in stack[n][0]):
            if any(words[0] == "WAIT" for words, _ in stack):
                # What waits for replicas speaks of its own connection's writes alone: all of it once more.
                self.command_stack = stack
                answers = await super().execute(raise_on_error=False)
            else:
                for n in wrong:
                    answers[n] = await self._again(*stack[n])
        if raise_on_error:
            self.raise_first_error(stack, answers)
        return answers

    async def _again(self, words: Sequence[Any], options: Mapping[str, Any]) -> Any:
        try:
            return await self.owner.execute_command(*words, **options)
        except ResponseError as error:
            return error


def wrong_kind(error: ResponseError) -> bool:
    """Whether a command or a script met a value of a wrong kind; Redis 6.2 has the word within a script's text."""
    return "WRONGTYPE" in str(error)


def _beside(key: str) -> str:
    """The name to set it aside under, in the same slot of a cluster."""
    return f"{key}{ASIDE}" if "{" in key else f"{{{key}}}{ASIDE}"


def _texts(words: Iterable[Any]) -> list[str]:
    return [word for word in words if isinstance(word, str)]


async def quarantine_wrong_types(redis: Redis, wanted: Mapping[str, str]) -> bool:
    """Set aside those of the keys that are of another kind than they are to be. Whether any was. Raises `StoreAway`."""
    async with redis.pipeline(transaction=False) as pipe:
        for key in wanted:
            pipe.type(key)
        found: Any = await away(pipe.execute())
    wrong = [key for (key, kind), is_ in zip(wanted.items(), found, strict=True) if text(is_) not in {kind, "none"}]
    if not wrong:
        return False
    if isinstance(redis, Client):
        return await redis.set_aside(wrong)
    return bool(await away(redis.delete(*wrong)))
