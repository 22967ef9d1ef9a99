"""What a holder, and an administrator beside them, can do on a Redis or Valkey to keep access from ending."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from providers.systems import registry
from tests.chaos.adversary.holder import Ability, Acts, Holder
from tests.servers import RedisServer

BOT = "jit-bot"
RIGHTS = (
    *("+acl", "+client|list", "+client|kill", "+client|info", "+info", "+ping", "+multi", "+exec", "+watch"),
    *("+unwatch", "+set", "+get", "+del", "~jit:*"),
)
"""What the bot's own user has here."""
_KEYS = "app:*"


class RedisTarget:
    """One server of one kind."""

    kinds: Sequence[str] = ("own",)
    roles: Sequence[str] = ("read", "write")

    def __init__(self, server: RedisServer, name: str, title: str) -> None:
        """The bot has the documented rights and no more; `start` makes it."""
        self.server, self.name, self.title = server, name, title
        self.password = secrets.token_urlsafe(16)
        os.environ[self._variable] = f"redis://{BOT}:{self.password}@127.0.0.1:{server.port}/0"
        config = {"url": f"env:{self._variable}", "id": name, "timeout": 1.0}
        self.system = registry.build("redis", config, os.environ)

    @property
    def _variable(self) -> str:
        return f"HOSTILE_{self.name.upper()}"

    async def start(self) -> RedisTarget:
        """Make the bot and some data."""
        await self.admin("ACL", "SETUSER", BOT, "reset", "on", f">{self.password}", *RIGHTS)
        await self.admin("SET", "app:1", "one")
        return self

    def policy(self) -> str:
        """Reading, and writing with everything that blocks, listens and transacts."""
        writes = "+@read, +@write, +@blocking, +@pubsub, +@transaction, +@connection"
        return f"""
  {self.name}:
    title: {self.title}
    provider: redis
    config: {{url: "env:{self._variable}", id: {self.name}}}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      read-own:
        grants: {{keys: ["{_KEYS}"], commands: [+@read, +@connection]}}
        max: 60s
        may_ask: [everyone]
      write-own:
        grants: {{keys: ["{_KEYS}"], channels: ["app:*"], commands: [{writes}]}}
        max: 60s
        may_ask: [everyone]
"""

    async def admin(self, *words: str | int) -> Any:
        """As the default user."""
        admin: Any = aioredis.Redis.from_url(self.server.socket_url, decode_responses=True)
        async with admin:
            return await admin.execute_command(*words)

    # as it is meant

    async def prepare(self, holder: Holder) -> None:
        """Nobody has an account here before."""

    async def enter(self, holder: Holder) -> None:
        """A connection that reads, and a login that would."""
        session = await self._connect(holder)
        if not await _reads(session):
            raise AssertionError(f"{holder.name}: what was granted cannot be used")
        holder.keep("the connection that was open", lambda: _reads(session))
        holder.keep("a new login", lambda: self._logs_in(holder))

    async def _connect(self, holder: Holder) -> aioredis.Connection:
        """One connection, which is not made again."""
        assert holder.secret
        session = aioredis.Connection(
            host="127.0.0.1",
            port=self.server.port,
            username=holder.login,
            password=holder.secret.password.get_secret_value(),
            socket_timeout=3,
            retry_on_error=[],
        )
        await session.connect()  # type: ignore[no-untyped-call]  # redis-py
        holder.at_end(session.disconnect)
        return session

    async def _logs_in(self, holder: Holder, password: str = "") -> bool:
        assert holder.secret
        known = password or holder.secret.password.get_secret_value()
        user = aioredis.Redis(
            host="127.0.0.1", port=self.server.port, socket_timeout=3, username=holder.login, password=known
        )
        async with user:
            return bool(await user.get("app:1"))

    # what they can do

    def abilities(self, holder: Holder) -> Mapping[str, Ability]:
        """All of it."""
        return {
            name.removeprefix("can_").replace("_", " "): getattr(self, name)
            for name in sorted(dir(self))
            if name.startswith("can_")
        }

    def wide(self) -> frozenset[str]:
        """What an administrator does to everybody."""
        return frozenset(
            name.removeprefix("can_").replace("_", " ") for name in dir(self) if name.startswith("can_have_the")
        )

    async def can_block(self, holder: Holder) -> None:
        """A command that waits for ever."""
        session = await self._connect(holder)
        never = f"app:never:{holder.n}"
        await session.send_command("BLPOP", never, "0")

        async def answers() -> bool:
            await self.admin("LPUSH", never, "one")
            answer = await session.read_response()
            return answer is not None

        holder.keep("a command that blocked", answers)

    async def can_leave_a_transaction_open(self, holder: Holder) -> None:
        session = await self._connect(holder)
        for words in (("WATCH", "app:1"), ("MULTI",), ("GET", "app:1")):
            await session.send_command(*words)
            await session.read_response()

        async def executes() -> bool:
            await session.send_command("EXEC")
            return bool(await session.read_response())

        holder.keep("a transaction that was open", executes)

    async def can_listen(self, holder: Holder) -> None:
        session = await self._connect(holder)
        news = f"app:news:{holder.n}"
        await session.send_command("SUBSCRIBE", news)
        await session.read_response()

        async def hears() -> bool:
            return bool(await self.admin("PUBLISH", news, "one"))

        holder.keep("a subscription", hears)

    async def can_have_many_connections(self, holder: Holder) -> None:
        for _ in range(8):
            session = await self._connect(holder)
            await session.send_command("CLIENT", "SETNAME", "innocent")
            await session.read_response()
            holder.keep("one of many connections", _reading(session))

    async def can_log_in_again_and_again(self, holder: Holder) -> None:
        holder.storm(lambda: self._logs_in(holder))

    async def can_change_their_acl(self, holder: Holder) -> None:
        session = await self._connect(holder)
        await session.send_command("ACL", "SETUSER", holder.login, ">mine", "allkeys")
        await session.read_response()
        holder.keep("a login by a password of their own", lambda: self._logs_in(holder, "mine"))

    async def can_have_an_administrator_give_them_a_password(self, holder: Holder) -> None:
        await self.admin("ACL", "SETUSER", holder.login, ">theirs")
        holder.keep("a login by another's password", lambda: self._logs_in(holder, "theirs"))

    async def can_have_an_administrator_let_them_in_without_a_password(self, holder: Holder) -> None:
        """It takes away every password, and with them whatever else is kept there."""
        await self.admin("ACL", "SETUSER", holder.login, "nopass")
        holder.keep("a login by any password", lambda: self._logs_in(holder, "anything"))

    async def can_have_an_administrator_give_them_everything(self, holder: Holder) -> None:
        await self.admin("ACL", "SETUSER", holder.login, "allkeys", "allchannels", "+@all")

    async def can_have_the_server_without_replicas(self, holder: Holder) -> None:
        """Writes are refused (NOREPLICAS)."""
        await self.admin("CONFIG", "SET", "min-replicas-to-write", 1)

    async def can_have_the_memory_full(self, holder: Holder) -> None:
        """Writes are refused (OOM)."""
        await self.admin("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", 1)

    async def can_have_the_disk_full(self, holder: Holder) -> None:
        """Writes are refused (MISCONF): the last snapshot could not be written."""
        await self.admin("CONFIG", "SET", "save", "3600 1")
        await self.admin("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
        kept = (await self.admin("CONFIG", "GET", "dbfilename"))["dbfilename"]
        made = self.server.directory / "a-directory.rdb"
        made.mkdir(exist_ok=True)
        await self.admin("CONFIG", "SET", "dbfilename", made.name)
        with contextlib.suppress(RedisError):
            await self.admin("BGSAVE")
        holder.at_end(lambda: self._quietly("CONFIG", "SET", "dbfilename", str(kept)))

    async def can_have_the_bot_unable_to_kill(self, holder: Holder) -> None:
        """CLIENT KILL and LIST are taken from the bot."""
        await self.admin("ACL", "SETUSER", BOT, "-client|kill", "-client|list")

    async def can_have_the_bot_unable_to_write(self, holder: Holder) -> None:
        await self.admin("ACL", "SETUSER", BOT, "-set", "-del", "-get")

    # afterwards

    async def judge(self, holder: Holder, told: str) -> list[str]:
        """Whether the user, or a connection of theirs, is there."""
        wrong = []
        if await self.admin("ACL", "GETUSER", holder.login):
            wrong.append("the temporary user is there")
        clients = str(await self.admin("CLIENT", "LIST"))
        if f"user={holder.login} " in clients:
            wrong.append("a connection of the temporary user lives")
        return wrong

    async def reset(self) -> None:
        """As an administrator would."""
        await self._quietly("CONFIG", "SET", "min-replicas-to-write", 0)
        await self._quietly("CONFIG", "SET", "maxmemory", 0)
        await self._quietly("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        await self._quietly("CONFIG", "SET", "save", "")
        await self._quietly("ACL", "SETUSER", BOT, *RIGHTS)

    async def _quietly(self, *words: str | int) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self.admin(*words)


async def _reads(session: aioredis.Connection) -> bool:
    await session.send_command("GET", "app:1", check_health=False)
    return bool(await asyncio.wait_for(session.read_response(), 3))


def _reading(session: aioredis.Connection) -> Acts:
    return lambda: _reads(session)
