"""Batches concurrent calls of one script into one pipeline; each call has its own answer or error.

It adds no delay: a call that finds no other waiting is sent at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError, RedisError

_MOST = 64
"""Calls in one pipeline; it bounds how long the next call waits."""


@dataclass(frozen=True)
class _Call:
    keys: Sequence[str]
    words: Sequence[Any]
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Together:
    """One script of one store. Its calls must be idempotent: the client's retry may send one twice."""

    def __init__(self, redis: Redis, script: AsyncScript) -> None:
        """Nothing is sent."""
        self._redis, self._script = redis, script
        self._waiting: list[_Call] = []
        self._going: set[asyncio.Task[None]] = set()

    async def __call__(self, keys: Sequence[str], words: Sequence[Any]) -> Any:
        """The script's answer to this call. Raises what redis-py raises."""
        call = _Call(keys, words)
        self._waiting.append(call)
        if len(self._waiting) == 1:
            # It begins when all that is ready now has run: whoever else calls until then goes along.
            going = asyncio.create_task(self._go(), name="together")
            self._going.add(going)
            going.add_done_callback(self._going.discard)
        return await call.answer

    async def _go(self) -> None:
        calls, self._waiting = self._waiting, []
        await asyncio.gather(*(self._send(calls[n : n + _MOST]) for n in range(0, len(calls), _MOST)))

    async def _send(self, calls: Sequence[_Call]) -> None:
        try:
            answers = await (self._all(calls) if len(calls) > 1 else self._one(calls[0]))
        except (RedisError, OSError) as error:
            answers = [error] * len(calls)
        except BaseException:
            for call in calls:
                call.answer.cancel()
            raise
        for call, answer in zip(calls, answers, strict=True):
            if call.answer.done():
                continue
            if isinstance(answer, Exception):
                call.answer.set_exception(answer)
            else:
                call.answer.set_result(answer)

    async def _one(self, call: _Call) -> list[Any]:
        return [await self._script(keys=call.keys, args=call.words)]

    async def _all(self, calls: Sequence[_Call]) -> list[Any]:
        answers = await self._asked(calls)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            # The server forgot it, and so did nothing at all: it is sent again, to a server that knows it.
            await self._redis.script_load(self._script.script)
            answers = await self._asked(calls)
        return answers

    async def _asked(self, calls: Sequence[_Call]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for call in calls:
                # By its hash: a script that a pipeline is given costs a question whether the server has it.
                pipe.evalsha(self._script.sha, len(call.keys), *call.keys, *call.words)
            return await pipe.execute(raise_on_error=False)
