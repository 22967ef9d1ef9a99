"""The accidents of the conformance suite: a wire that loses or holds a message, a process killed after the effect.

They happen to the provider from outside, so a provider needs no code for being tested by them.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from providers.systems.base import Order, Prior, System

_CHUNK = 65536
_SETTLE = 30.0


class Wire:
    """A TCP wire to a real server, on a port of its own. It counts what clients send, over all connections.

    ``lose=n``: the n-th message reaches the server, its answer is lost and the connection is cut.
    ``hold=n``: the n-th message and what follows it are held until `release`, whether or not the client waits.
    ``hold=1`` is a server that accepts and never answers.
    """

    def __init__(self, server: tuple[str, int], *, lose: int | None = None, hold: int | None = None) -> None:
        """Not yet listening."""
        self.sent = 0
        self.struck = False
        """Whether the accident came to pass; a verb that sends fewer messages is through before."""
        self._server, self._lose, self._hold = server, lose, hold
        self._held = asyncio.Event()
        self._strike = asyncio.Event()
        self._landed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut everything."""
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_SETTLE)

    @property
    def port(self) -> int:
        """Where clients connect to."""
        return int(self._listener.sockets[0].getsockname()[1])

    async def strikes_or(self, call: asyncio.Task[Any]) -> None:
        """Wait until a message is held, or until the call is through without."""
        strike = asyncio.create_task(self._strike.wait())
        await asyncio.wait({strike, call}, return_when=asyncio.FIRST_COMPLETED)
        strike.cancel()

    async def release(self) -> None:
        """Let what was held land now, and wait until the server has done with it."""
        self._held.set()
        await asyncio.wait_for(self._landed.wait(), _SETTLE)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._server)
        except OSError:
            writer.close()
            return
        back = asyncio.create_task(self._back(server_reader, writer))
        try:
            await self._forth(reader, server_writer, back)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            back.cancel()
            writer.close()
            server_writer.close()

    async def _back(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await server.read(_CHUNK):
                if self._lose is not None and self.sent >= self._lose and not self.struck:
                    self.struck = True
                    break
                if self._held.is_set():
                    self._landed.set()
                client.write(data)
            client.close()
        if self._held.is_set():
            self._landed.set()

    async def _forth(
        self, client: asyncio.StreamReader, server: asyncio.StreamWriter, back: asyncio.Task[None]
    ) -> None:
        while data := await client.read(_CHUNK):
            self.sent += 1
            if self._hold is not None and self.sent >= self._hold and not self._held.is_set():
                self.struck = True
                self._strike.set()
                await self._held.wait()
            server.write(data)
            await server.drain()
        if self._held.is_set():
            # The client is long gone; the server still works on what it sent.
            server.write_eof()
            await back
            self._landed.set()


def as_job(provider: type[System], config: Mapping[str, Any], order: Order, prior: Prior) -> bytes:
    """What a child process needs to call grant in our stead."""
    job = {
        "provider": f"{provider.__module__}:{provider.__qualname__}",
        "config": dict(config),
        "order": order.model_dump(mode="json"),
        "prior": prior.model_dump(mode="json"),
    }
    return json.dumps(job).encode()


async def grant_and_die(job: bytes) -> int:
    """Grant in a real process of its own, which is killed by SIGKILL when the answer is there and nobody told."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, told = await child.communicate(job)
    if child.returncode != -signal.SIGKILL:
        raise AssertionError(f"the child ended by itself with {child.returncode}:\n{told.decode()}")
    return child.returncode


async def _child(job: Mapping[str, Any]) -> None:
    module, _, name = job["provider"].partition(":")
    provider = getattr(importlib.import_module(module), name)
    system = provider(provider.Config.model_validate(job["config"]))
    await system.grant(Order.model_validate(job["order"]), Prior.model_validate(job["prior"]))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(_child(json.load(sys.stdin)))
