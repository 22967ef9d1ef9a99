"""A hostile holder of a Redis login: what they do while it is theirs, so as to stay when it is not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import redis
import redis.asyncio as aioredis
from redis.asyncio.connection import AbstractConnection

from providers.systems.base import Order, Secret
from providers.systems.conformance.bench import HostileAct
from providers.systems.conformance.suite import Lives

BROAD = {
    "keys": ["*"],
    "channels": ["*"],
    "commands": [
        f"+@{each}"
        for each in ["read", "write", "keyspace", "connection", "blocking", "pubsub", "transaction", "stream"]
    ],
}
"""As much as a role can have."""
NEVER = (
    "ACL SETUSER jit-evil on nopass ~* +@all",
    "ACL SETUSER jit-bot on >mine",
    "ACL DELUSER jit-bot",
    "ACL SAVE",
    "ACL LOAD",
    "ACL LIST",
    "ACL GETUSER default",
    "CONFIG SET requirepass mine",
    "CONFIG SET maxclients 1",
    "CONFIG REWRITE",
    "REPLICAOF 127.0.0.1 1",
    "SLAVEOF NO ONE",
    "PSYNC ? -1",
    "SYNC",
    "REPLCONF listening-port 1",
    "FAILOVER",
    "CLUSTER MEET 127.0.0.1 1",
    "MONITOR",
    "MIGRATE 127.0.0.1 1 app:1 0 1",
    "RESTORE app:9 0 x",
    "RESTORE-ASKING app:9 0 x",
    "EVAL while(true)do(end) 0",
    "EVAL_RO return(1) 0",
    "EVALSHA a 0",
    "SCRIPT LOAD return(1)",
    "FUNCTION LOAD x",
    "FCALL f 0",
    "MODULE LOAD /tmp/evil.so",
    "DEBUG SLEEP 0",
    "SHUTDOWN NOSAVE",
    "SAVE",
    "BGSAVE",
    "BGREWRITEAOF",
    "CLIENT KILL TYPE normal",
    "CLIENT PAUSE 60000",
    "CLIENT NO-EVICT on",
    "CLIENT UNBLOCK 1",
    "CLIENT LIST",
    "LATENCY RESET",
    "SLOWLOG RESET",
    "SWAPDB 0 1",
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
)

Admin = Callable[..., Any]
Connect = Callable[[Order, Secret | None], Awaitable[AbstractConnection]]


async def reads(connection: AbstractConnection, *words: str) -> bool:
    """Whether this very connection still gets an answer that is no error."""
    try:
        await connection.send_command(*(words or ("GET", "app:1")), check_health=False)
        return not isinstance(await connection.read_response(timeout=30), Exception)
    except (redis.RedisError, OSError, TimeoutError):
        await connection.disconnect(nowait=True)
        return False


def acts(url: str, connect: Connect, admin: Admin) -> list[HostileAct]:
    """What is tried, each with a login of its own."""
    holder = _Holder(url, connect, admin)
    tricks = {
        "opens many sessions, some of them another's": holder.crowd,
        "leaves a transaction open, to be run later": holder.transaction,
        "waits in blocking commands": holder.block,
        "listens to channels and to the keys of others": holder.listen,
        "speaks RESP3 and has changes of keys pushed": holder.track,
        "asks for no answers": holder.mute,
        "sends more than can be worked off, and reads nothing": holder.flood,
        "logs in again and again, from many sides": holder.storm,
        "takes away and makes the bot's fences": holder.fences,
        "tries what would last, or reach past the keys": holder.overreach,
        "is let in without a password by an administrator": holder.nopass,
        "has every password, and our mark, taken away by an administrator": holder.resetpass,
    }
    return [HostileAct(name, do, BROAD) for name, do in tricks.items()]


class _Holder:
    def __init__(self, url: str, connect: Connect, admin: Admin) -> None:
        self._url, self._connect, self._admin = url, connect, admin

    async def _said(self, order: Order, secret: Secret | None, *lines: str) -> AbstractConnection:
        """A connection on which these were said, each with its answer."""
        connection = await self._connect(order, secret)
        for line in lines:
            await connection.send_command(*line.split(), check_health=False)
            await connection.read_response(timeout=30)
        return connection

    async def crowd(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        return [partial(reads, await self._connect(order, secret)) for _ in range(30)]

    async def transaction(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        queued = await self._said(order, secret, "WATCH hostile:x", "MULTI", "SET hostile:late 1")
        return [partial(reads, queued, "EXEC")]

    async def block(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        waiting = []
        for line in ("BLPOP hostile:list 0", "XREAD BLOCK 0 STREAMS hostile:stream $", "WAIT 7 0"):
            connection = await self._connect(order, secret)
            await connection.send_command(*line.split(), check_health=False)
            waiting.append(connection)

        async def served(connection: AbstractConnection) -> bool:
            self._admin("LPUSH", "hostile:list", "x")
            self._admin("XADD", "hostile:stream", "*", "a", "b")
            try:
                return await connection.read_response(timeout=30) is not None
            except (redis.RedisError, OSError):
                return False
            finally:
                await connection.disconnect(nowait=True)

        return [partial(served, connection) for connection in waiting]

    async def listen(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        name = secrets.token_hex(4)
        self._admin("CONFIG", "SET", "notify-keyspace-events", "KEA")
        lines = (f"SUBSCRIBE {name}", f"PSUBSCRIBE {name}*", f"SSUBSCRIBE {name}", "PSUBSCRIBE __key*")
        listening = [await self._said(order, secret, line) for line in lines]
        assert self._admin("PUBLISH", name, "x") == 2

        async def heard() -> bool:
            told = (("PUBLISH", name), ("SPUBLISH", name), ("PUBLISH", "__keyspace@0__:a"))
            heard = sum(int(self._admin(*words, "x")) for words in told)
            for each in listening:
                await each.disconnect(nowait=True)
            return heard > 0

        return [heard]

    async def track(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        session = await self._said(order, secret, "HELLO 3", "CLIENT TRACKING ON BCAST PREFIX app:")
        return [partial(reads, session)]

    async def mute(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        session = await self._connect(order, secret)
        await session.send_command("CLIENT", "REPLY", "OFF", check_health=False)
        key = f"hostile:{secrets.token_hex(4)}"

        async def written() -> bool:
            with suppress(redis.RedisError, OSError):
                await session.send_command("SET", key, "1", check_health=False)
            with suppress(redis.RedisError, OSError):
                await session.read_response(timeout=30)  # it is closed, and with that all that was sent is done with
            await session.disconnect(nowait=True)
            return self._admin("GET", key) is not None

        return [written]

    async def flood(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        key = f"hostile:{secrets.token_hex(4)}"
        self._admin("SET", f"{key}:big", "x" * 200_000)
        session = await self._connect(order, secret)
        packed = session.pack_command("GET", f"{key}:big") * 200 + session.pack_command("INCR", key) * 50_000
        sending = asyncio.create_task(session.send_packed_command(packed, check_health=False))

        async def counted() -> bool:
            with suppress(redis.RedisError, OSError, TimeoutError):
                await asyncio.wait_for(sending, 30)
            await session.disconnect(nowait=True)
            before = self._admin("GET", key)
            for _ in range(50):
                self._admin("PING")
            return bool(self._admin("GET", key) != before)

        return [counted]

    async def nopass(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        """The passwords go, and with them the mark that says that the user is ours."""
        session = await self._connect(order, secret)
        self._admin("ACL", "SETUSER", order.subject.native, "nopass")
        return [partial(reads, session)]

    async def resetpass(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        session = await self._connect(order, secret)
        self._admin("ACL", "SETUSER", order.subject.native, "resetpass")
        return [partial(reads, session)]

    async def storm(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        """Several loops that come in whenever they can."""
        tries, inside, over = [0], [0], asyncio.Event()
        asyncio.get_running_loop().call_later(60, over.set)  # whatever becomes of the test

        async def loop() -> None:
            while not over.is_set():
                try:
                    session = await self._connect(order, secret)
                    inside[0] += await reads(session)
                    await session.disconnect(nowait=True)
                except (redis.RedisError, OSError):
                    await asyncio.sleep(0)
                tries[0] += 1

        loops = [asyncio.create_task(loop()) for _ in range(4)]
        async with asyncio.timeout(30):
            while not inside[0]:  # noqa: ASYNC110  # the loops tell nobody
                await asyncio.sleep(0.01)

        async def gets_in() -> bool:
            before, until = inside[0], tries[0] + 20
            async with asyncio.timeout(30):
                while tries[0] < until:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            over.set()  # and no cancelling, which redis-py may swallow while it connects
            await asyncio.gather(*loops)
            # The first of them may have been counted late, when it was in before the end.
            return inside[0] - before > len(loops)

        return [gets_in]

    async def fences(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        """With all keys, the bot's own are among them."""
        password = secret.password.get_secret_value() if secret else ""
        client = aioredis.Redis.from_url(self._url, username=order.subject.native, password=password)
        fence, rounds, over = f"jit:fence:{order.subject.native}", [0], asyncio.Event()

        async def loop() -> None:
            async with client:
                while not over.is_set():
                    token = await client.get(fence)
                    await client.delete(fence)
                    await client.set(fence, token or b"mine")
                    rounds[0] += 1

        looping = asyncio.create_task(loop())
        async with asyncio.timeout(30):
            while rounds[0] < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        async def goes_on() -> bool:
            try:
                await asyncio.wait_for(asyncio.shield(looping), 30)
            except redis.RedisError:
                return False
            except TimeoutError:
                over.set()
            return True

        return [goes_on]

    async def overreach(self, order: Order, secret: Secret | None) -> Sequence[Lives]:
        """Each is refused for a want of rights, and not for another reason."""
        session, allowed = await self._connect(order, secret), []
        own = (f"ACL SETUSER {order.subject.native} on >mine +@all", f"ACL GETUSER {order.subject.native}")
        for line in (*NEVER, *own):
            await session.send_command(*line.split(), check_health=False)
            try:
                await session.read_response(timeout=30)
            except redis.exceptions.NoPermissionError:
                continue
            except redis.ResponseError as error:
                # Switched off for all, or not known to this version.
                if "unknown command" in str(error) or "command not allowed" in str(error):
                    continue
            allowed.append(line)
        assert not allowed, f"not refused: {allowed}"
        return [partial(reads, session)]
