"""A Redis or Valkey with a bot that has the documented rights and no more, and ways to make it misbehave."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import redis
import redis.asyncio as aioredis
from redis.asyncio.connection import AbstractConnection

from providers.systems.base import Order, Secret
from providers.systems.conformance.bench import BotRight, HostileAct, LesserStep
from providers.systems.conformance.suite import Bench, Lives
from providers.systems.redis_acl import RedisAcl, RedisConfig
from tests.providers import redis_holder
from tests.servers import RedisServer, until

BOT, ID = "jit-bot", "the-test-redis"
NEEDS = "+acl +client|kill +client|info +info +set +get +del +watch +unwatch +multi +exec ~jit:*"
_ACL = ("whoami", "users", "list", "cat", "getuser", "setuser", "deluser", "save")
RIGHTS = (*(f"+acl|{each}" for each in _ACL), *NEEDS.split()[1:])


class RedisBench(Bench):
    """A server, and another one that may answer in its stead."""

    provider = RedisAcl
    params = {"keys": ["app:*"], "commands": ["+@read", "+@write"]}  # noqa: RUF012  # each bench only reads it
    other_params = {"keys": ["b:*"], "commands": ["+@read"]}  # noqa: RUF012

    def __init__(self, server: RedisServer, other: RedisServer | None = None) -> None:
        """Make the bot and some data."""
        self.running, self.other = server, other
        self.server = ("127.0.0.1", server.port)
        self.password = secrets.token_urlsafe(16)
        self.hidden = (self.password,)
        for each in (server, other):
            if each is not None:
                self.furnish(each)

    def furnish(self, server: RedisServer) -> None:
        """The same bot on each server."""
        with redis.Redis.from_url(server.socket_url) as admin:
            admin.execute_command("ACL", "SETUSER", BOT, "reset", "on", f">{self.password}", *NEEDS.split())
            if admin.info("replication")["role"] == "master":
                admin.set("app:1", "one")
                admin.set("secret:1", "not for you")

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        """By TCP, with an id: these servers have no aclfile. By way of another port, with little patience."""
        url = f"redis://{BOT}:{self.password}@127.0.0.1:{port or self.running.port}/0"
        return {"url": url, "id": ID, "timeout": 0.5 if port else 10.0}

    def system(self, **more: Any) -> RedisAcl:
        """The provider, with another config."""
        return RedisAcl(RedisConfig.model_validate({**self.config(), **more}))

    async def usable(self, order: Order, secret: Secret | None) -> bool:
        """Log in and read."""
        try:
            async with self.as_user(order, secret) as user:
                return bool(await user.get("app:1") == b"one")
        except redis.AuthenticationError:
            return False

    async def connected(self, order: Order, secret: Secret | None) -> AbstractConnection:
        """A connection of one's own, which does not reconnect."""
        assert secret is not None
        name, password = order.subject.native, secret.password.get_secret_value()
        pool = aioredis.Redis.from_url(self.running.url, protocol=2, username=name, password=password)
        connection = await pool.connection_pool.get_connection()  # type: ignore[no-untyped-call]  # it has no types
        assert isinstance(connection, AbstractConnection)
        return connection

    async def enter(self, order: Order, secret: Secret | None) -> Lives:
        """A session that reads."""
        return partial(redis_holder.reads, await self.connected(order, secret))

    async def stand(self, order: Order) -> None:
        """An administrator's user of that name."""
        self.admin("ACL", "SETUSER", order.subject.native, "reset", "on", ">theirs", "~x", "+get")

    async def stands(self, order: Order) -> bool:
        """Whether it logs in."""
        with redis.Redis.from_url(self.running.socket_url, username=order.subject.native, password="theirs") as theirs:
            return theirs.get("x") is None

    async def tamper(self, order: Order) -> None:
        """Give it more."""
        self.admin("ACL", "SETUSER", order.subject.native, "~secret:*")

    async def fence_is_down(self, order: Order) -> None:
        """Wait until no grant of this order may land any more."""
        async with asyncio.timeout(30), aioredis.Redis.from_url(self.running.url) as admin:
            while await admin.exists(f"jit:fence:{order.subject.native}"):  # noqa: ASYNC110  # it lapses
                await asyncio.sleep(0.01)

    def admin(self, *words: str) -> Any:
        """Past the provider, as an administrator."""
        with redis.Redis.from_url(self.running.socket_url, decode_responses=True, protocol=2) as admin:
            return admin.execute_command(*words)

    @asynccontextmanager
    async def as_user(self, order: Order, secret: Secret | None) -> AsyncIterator[Any]:
        """A client with that login."""
        password = secret.password.get_secret_value() if secret else ""
        user = aioredis.Redis.from_url(self.running.url, username=order.subject.native, password=password)
        async with user:
            yield user

    # what the suite makes go wrong

    def hostile_acts(self) -> Sequence[HostileAct]:
        """All that a login can do to stay."""
        return redis_holder.acts(self.running.url, self.connected, self.admin)

    def lesser_steps(self) -> Sequence[LesserStep]:
        """Writing, for the fence, in three ways; and counting."""

        def config(name: str, key: str, bad: str, good: str) -> LesserStep:
            return LesserStep(name, self._admins("CONFIG", "SET", key, bad), self._admins("CONFIG", "SET", key, good))

        no_kill, kill = (self._admins("ACL", "SETUSER", BOT, f"{sign}client|kill") for sign in "-+")
        return [
            config("writing without enough replicas", "min-replicas-to-write", "1", "0"),
            config("writing to a full memory", "maxmemory", "1", "0"),
            LesserStep("writing while the disk fails", self._break_disk, self._mend_disk),
            LesserStep("counting", no_kill, kill, "CLIENT KILL did not count the sessions"),
        ]

    async def _break_disk(self, _: Order) -> None:
        (self.running.directory / "dump.rdb").mkdir(exist_ok=True)
        self.admin("CONFIG", "SET", "save", "3600 1")
        self.admin("BGSAVE")
        until(lambda: "rdb_last_bgsave_status:err" in str(self._persistence()), "a snapshot to fail")

    async def _mend_disk(self, _: Order) -> None:
        self.admin("CONFIG", "SET", "save", "")

    def _persistence(self) -> str:
        return " ".join(f"{key}:{value}" for key, value in self.admin("INFO", "persistence").items())

    def rights(self) -> Sequence[BotRight]:
        """Each rule of the documented ones, word by word."""
        return [self._right(rule) for rule in RIGHTS]

    def _right(self, rule: str) -> BotRight:
        less = "resetkeys" if rule[0] == "~" else f"-{rule[1:]}"
        take, give = (self._admins("ACL", "SETUSER", BOT, each) for each in (less, rule))
        return BotRight(f"`ACL SETUSER {BOT} {rule}`", partial(take, None), partial(give, None))

    def elsewhere(self) -> RedisAcl:
        """The other server, by the same name."""
        assert self.other is not None
        return RedisAcl(RedisConfig.model_validate(self.config(self.other.port)))

    async def seen_elsewhere(self) -> object:
        """Its users and keys."""
        assert self.other is not None
        with redis.Redis.from_url(self.other.socket_url, decode_responses=True) as other:
            return other.execute_command("ACL", "LIST"), sorted(other.scan_iter())

    def _admins(self, *words: str) -> Any:
        async def act(_: Order | None) -> None:
            self.admin(*words)

        return act


class AclFileBench(RedisBench):
    """A server with an ACL file, which can be taken from it."""

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        """Its identity stands in the file."""
        return {**super().config(port), "id": "", "timeout": 10.0}

    def lesser_steps(self) -> Sequence[LesserStep]:
        """Writing the file."""
        return [LesserStep("writing the ACL file", self.lose_file, self.find_file, "would bring it back")]

    async def lose_file(self, _: Order | None = None) -> None:
        folder = self.running.directory / "acl"
        folder.rename(folder.with_name("away"))

    async def find_file(self, _: Order | None = None) -> None:
        folder = self.running.directory / "away"
        folder.rename(folder.with_name("acl"))

    @property
    def kept(self) -> str:
        """What the file has."""
        return (self.running.directory / "acl" / "users.acl").read_text()
