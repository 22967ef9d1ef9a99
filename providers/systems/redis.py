"""Temporary ACL users on one Redis (6.2 or later) or Valkey server; never touches a user that it did not make.

The bot's own user needs ``+acl +client|list +client|kill +info +ping +multi +exec +watch +unwatch +set +get +del
~jit:*``. Who holds ``+acl`` can give themself everything, so its password is a master key: keep it to the worker.

ACLs are not replicated and, without an ``aclfile``, do not survive a restart: point this at the primary. The
server's identity is a disabled ACL user ``jit-target-…``, which no temporary user can reach; where there is no
``aclfile`` it would be lost with a restart, so there the config must give an ``id``.

A grant that comes late is stopped on the server: it runs only while its fence, a key with a short TTL that every
revoke takes away, still stands. Native expiry: none.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from urllib.parse import urlsplit

import redis.asyncio as aioredis
from pydantic import ConfigDict, Field, SecretStr, field_validator
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    WatchError,
)

from providers.systems.base import (
    Capabilities,
    Frozen,
    Health,
    Json,
    Order,
    Outcome,
    Presence,
    Principal,
    Prior,
    Receipt,
    Refused,
    Secret,
    Standing,
    Subject,
    Unsure,
)
from providers.systems.redis_rules import RedisParams, mark, origin, rules

_TARGET = "jit-target-"
_OURS = re.compile(r"jit-(j-[2-9a-hj-np-z]{4,8})-([0-9]{1,2})")
_NEEDS = "+acl +client|list +client|kill +info +ping +multi +exec +watch +unwatch +set +get +del ~jit:*"
_OLDEST = (6, 2)
FENCE_TIMEOUTS = 2
"""How many timeouts after it was sent the server still makes a change."""


class RedisConfig(Frozen):
    """How to reach the server."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr
    """``redis://``, ``rediss://`` or ``unix://``, with the bot's own user and password."""
    id: str = Field(default="", pattern=r"^[A-Za-z0-9_.:-]{0,64}$")
    """What the server is called for good; needed where it has no ``aclfile``."""
    address: str = Field(default="", pattern=r"^([A-Za-z0-9.-]{1,200}(:[0-9]{1,5})?)?$")
    """The ``host:port`` that people are told to connect to; by default the url's."""
    timeout: float = Field(default=3.0, gt=0, le=60)
    """Seconds for a connection, and for each answer."""

    @field_validator("url")
    @classmethod
    def _known(cls, url: SecretStr) -> SecretStr:
        """What the client makes of it; its own complaint could quote a password."""
        try:
            aioredis.ConnectionPool.from_url(url.get_secret_value())
        except ValueError:
            raise ValueError("a redis://, rediss:// or unix:// url is needed, with special characters quoted") from None
        return url


class RedisAcl:
    """The provider ``redis``."""

    Config: ClassVar[type[Frozen]] = RedisConfig
    Params: ClassVar[type[Frozen]] = RedisParams

    def __init__(self, config: RedisConfig) -> None:
        """Prepare a client; nothing is connected. It retries nothing: a second try is the worker's to decide."""
        self._config = config
        self._client: aioredis.Redis = aioredis.Redis.from_url(
            config.url.get_secret_value(),
            socket_connect_timeout=config.timeout,
            socket_timeout=config.timeout,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            protocol=2,
            decode_responses=True,
        )

    @property
    def settles_within(self) -> float:
        """A whole verb has three timeouts, and its fence falls before that."""
        return self._config.timeout * 3

    @classmethod
    def capabilities(cls, params: Mapping[str, Json]) -> Capabilities:
        """A user of its own, with a password, cut off at the end; nothing closes it by itself."""
        return Capabilities(
            own_principal=True,
            issues_secret=True,
            kills_sessions=True,
            native_expiry=False,
            grantor_scoped=True,
            can_write=RedisParams.model_validate(params).writes,
            prolongs=True,
        )

    @classmethod
    def consequence(cls, params: Mapping[str, Json]) -> str:
        """Commands and keys."""
        wanted = RedisParams.model_validate(params)
        keys = ", ".join(wanted.keys) or "no keys"
        ability = "can write" if wanted.writes else "read only"
        return f"opens a Redis login: {' '.join(wanted.commands)} on {keys}, {ability}"

    async def check(self) -> Health:
        """Reach the server, its identity, and the bot's rights."""
        async with self._talk("check"):
            server = await self._client.info("server")
            version = str(server.get("valkey_version") or server["redis_version"])
            if tuple(map(int, str(server["redis_version"]).split(".")[:2])) < _OLDEST:
                raise Refused(f"Redis {version} is too old: 6.2 or later is needed")
            role = (await self._client.info("replication"))["role"]
            if role != "master":
                raise Refused(f"this server is a {role}: ACLs are not replicated, so point the url at the primary")
            saved = await self._save()
            target = await self._target() or await self._be_target(saved)
            kept = "ACLs are kept in its aclfile" if saved else "no aclfile: a restart takes all access away"
            brand = "Valkey" if "valkey_version" in server else "Redis"
            return Health(target=target, detail=f"{brand} {version}; {kept}")

    async def resolve(self, principal: Principal, params: Mapping[str, Json], order_id: str) -> Subject:
        """A user of the order's own."""
        RedisParams.model_validate(params)
        return Subject(native="jit-" + order_id.lower().replace(".", "-"), own=True)

    def entitlements(self, order: Order) -> Sequence[str]:
        """Nothing is shared."""
        return ()

    async def inspect(self, order: Order) -> Prior:
        """The name must be free."""
        async with self._talk("inspect", order):
            self._mine_or_none(order, await self._user(order.subject.native))
            return Prior(present=False)

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        """Make the user, enabled and without a usable password; `reveal` makes one."""
        params = RedisParams.model_validate(order.params)
        name = order.subject.native
        async with self._talk("grant", order):
            user = self._mine_or_none(order, await self._user(name))
            if user is None:
                made = ("reset", "resetchannels", "on", *_marks(order), *rules(params))
                await self._fenced(name, *made)
                user = await self._user(name)
            await self._save()
            if user is None:
                raise Unsure(f"the ACL user {name} was made and is gone again")
            return Receipt(native=name, facts={"rules": _fingerprint(user)})

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        """Delete the user, which cuts its connections off. Ours is what carries our mark, even if changed since."""
        name = order.subject.native
        async with self._talk("revoke", order):
            await self._client.delete(_fence(name))
            user = await self._user(name)
            if user is not None and not _marked(order, user):
                return Outcome(presence=Presence.FOREIGN, kept=f"the ACL user {name} of another hand")
            return await self._deleted(name, user)

    async def verify(self, order: Order, receipt: Receipt | None) -> Presence:
        """Read the user and compare its rules with the receipt's fingerprint."""
        async with self._talk("verify", order):
            return _presence(order, receipt, await self._user(order.subject.native))

    async def standing(self) -> Sequence[Standing]:
        """Every ACL user, its rules as the entitlement; ours are told by name."""
        async with self._talk("list"):
            lines: list[str] = await self._acl("LIST")
        return [_standing(line) for line in lines if not line.split(" ", 2)[1].startswith(_TARGET)]

    async def close_orphan(self, standing: Standing) -> Outcome:
        """Delete a user of an order's name that bears the mark of its origin; older ones have none, and are left."""
        name = standing.native
        async with self._talk("close"):
            user = await self._user(name)
            if user is not None and not (_OURS.fullmatch(name) and origin(name) in user["passwords"]):
                return Outcome(presence=Presence.FOREIGN, kept=f"the ACL user {name}, which bears no mark of ours")
            await self._client.delete(_fence(name))
            return await self._deleted(name, user)

    def connect(self, order: Order, receipt: Receipt) -> str:
        """The client's command; it asks for the password."""
        return self._how(order.subject.native)

    async def prolong(self, order: Order, receipt: Receipt) -> Receipt:
        """No user ends by itself here, so a later end changes nothing; one that is gone or changed has none."""
        if await self.verify(order, receipt) is not Presence.PRESENT:
            raise Refused(f"the user {order.subject.native} is gone, or was changed by another hand")
        return receipt

    async def reveal(self, order: Order, receipt: Receipt) -> Secret:
        """A new password. The one before is dead, and whoever is connected by it is cut off."""
        name, password = order.subject.native, secrets.token_urlsafe(32)
        async with self._talk("reveal", order):
            if _presence(order, receipt, await self._user(name)) is not Presence.PRESENT:
                raise Refused(f"the ACL user {name} is gone or was changed by another hand")
            hashed = hashlib.sha256(password.encode()).hexdigest()
            await self._fenced(name, "resetpass", *_marks(order), f"#{hashed}")
            await self._say("CLIENT", "KILL", "USER", name)
            await self._save()
        return Secret(username=name, password=SecretStr(password), how=self._how(name))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    # the parts of verbs

    @asynccontextmanager
    async def _talk(self, verb: str, order: Order | None = None) -> AsyncIterator[None]:
        """Within one verb's time, with the right server, every failure in the contract's words."""
        try:
            async with asyncio.timeout(self._config.timeout * 2.5):
                if order is not None:
                    await self._be_at(order.target)
                yield
        except (NoPermissionError, AuthenticationError) as error:
            raise Refused(f"{verb}: the bot's Redis user may not do this; it needs {_NEEDS}") from error
        except ReadOnlyError as error:
            raise Refused(f"{verb}: this is a replica; point the url at the primary") from error
        except WatchError as error:
            raise Unsure(f"{verb}: came too late and was stopped by the server, nothing was changed") from error
        except (RedisError, OSError, TimeoutError) as error:
            raise Unsure(f"{verb}: no answer from Redis ({type(error).__name__})") from error

    async def _be_at(self, target: str) -> None:
        found = await self._target()
        if found != target:
            raise Refused(f"this Redis is {found or 'without an identity'}, and the order is for {target}")

    async def _target(self) -> str:
        """The configured id, or the one that stands among the ACL users; empty when there is none yet."""
        if self._config.id:
            return self._config.id
        ids = sorted(name.removeprefix(_TARGET) for name in await self._acl("USERS") if name.startswith(_TARGET))
        return str(ids[0]) if ids else ""

    async def _be_target(self, saved: bool) -> str:
        """Give the server its identity; of two who would do so at once, one is sent away to ask again."""
        if not saved:
            raise Refused("this Redis has no aclfile to keep an identity in: set one up, or give an `id` in the config")
        if not await self._client.set(_fence("target"), "1", nx=True, px=int(self._config.timeout * 3000)):
            raise Unsure("another process is giving this Redis its identity, ask again")
        await self._acl("SETUSER", _TARGET + secrets.token_hex(8), "reset", "off")
        await self._save()
        return await self._target()

    async def _fenced(self, name: str, *how: str) -> None:
        """Set the user up, unless the server comes to it only after our time, or a revoke was there meanwhile."""
        fence, token = _fence(name), secrets.token_hex(8)
        await self._client.set(fence, token, px=int(self._config.timeout * FENCE_TIMEOUTS * 1000))
        async with self._client.pipeline(transaction=True) as pipe:
            await pipe.watch(fence)
            if await pipe.get(fence) != token:
                raise WatchError("the fence fell")
            pipe.multi()  # type: ignore[no-untyped-call]  # it has no types
            pipe.execute_command("ACL", "SETUSER", name, *how)
            try:
                await pipe.execute()
            except (NoPermissionError, ReadOnlyError):
                raise
            except ResponseError as error:
                raise Refused(f"Redis does not take these rules: {error}") from error
        await self._client.delete(fence)

    async def _save(self) -> bool:
        """Write the ACL file; False where the server has none."""
        try:
            await self._acl("SAVE")
        except NoPermissionError:
            raise
        except ResponseError as error:
            if "not configured to use an ACL file" in str(error):
                return False
            raise Unsure(f"the ACL file could not be written, a restart would undo this: {error}") from error
        return True

    async def _acl(self, *words: str) -> Any:
        return await self._say("ACL", *words)

    async def _say(self, *words: str) -> Any:
        # The words come one by one, so that redis-py's own shaping of `ACL GETUSER` and others stays out.
        return await self._client.execute_command(*words)  # type: ignore[no-untyped-call]  # it has no types

    async def _user(self, name: str) -> dict[str, Any] | None:
        flat = await self._acl("GETUSER", name)
        if flat is None or isinstance(flat, dict):
            return flat
        return dict(zip(flat[::2], flat[1::2], strict=True))

    async def _connections(self, name: str) -> list[str]:
        lines = str(await self._say("CLIENT", "LIST")).splitlines()
        return [line for line in lines if f" user={name} " in f"{line} "]

    async def _deleted(self, name: str, user: Mapping[str, Any] | None) -> Outcome:
        """The user gone, its connections cut off, and that read back."""
        killed = len(await self._connections(name)) if user is not None else 0
        if user is not None:
            await self._acl("DELUSER", name)
        await self._save()
        left = await self._user(name)
        return Outcome(presence=Presence.ABSENT if left is None else Presence.FOREIGN, killed=killed)

    def _mine_or_none(self, order: Order, user: dict[str, Any] | None) -> dict[str, Any] | None:
        if user is not None and not _marked(order, user):
            raise Refused(f"an ACL user {order.subject.native} of another hand exists already")
        return user

    def _how(self, name: str) -> str:
        url = urlsplit(self._config.url.get_secret_value())
        host, _, port = self._config.address.partition(":")
        if url.scheme == "unix" and not host:
            where = f"-s {shlex.quote(url.path)}"
        else:
            where = f"-h {shlex.quote(host or url.hostname or 'localhost')} -p {port or url.port or 6379}"
            where += " --tls" if url.scheme == "rediss" else ""
        return f"redis-cli {where} --user {name} --askpass"


def _fence(name: str) -> str:
    return f"jit:fence:{name}"


def _marks(order: Order) -> tuple[str, str]:
    """Two that nobody can log in by: one is proved by the order, the other by the name alone, once no order is left."""
    name = order.subject.native
    return f"#{mark(name, RedisParams.model_validate(order.params))}", f"#{origin(name)}"


def _marked(order: Order, user: Mapping[str, Any]) -> bool:
    return mark(order.subject.native, RedisParams.model_validate(order.params)) in user["passwords"]


def _presence(order: Order, receipt: Receipt | None, user: Mapping[str, Any] | None) -> Presence:
    if user is None:
        return Presence.ABSENT
    logins = set(user["passwords"]) - {known.removeprefix("#") for known in _marks(order)}
    ours = _marked(order, user) and len(logins) <= 1 and "nopass" not in user["flags"]
    same = receipt is None or receipt.facts.get("rules") == _fingerprint(user)
    return Presence.PRESENT if ours and same else Presence.FOREIGN


def _fingerprint(user: Mapping[str, Any]) -> str:
    """Of everything but passwords, as the server tells it back, word by word and sorted.

    Versions differ in how they write the same rules, and Redis 7.0 puts them in another order after a restart.
    """
    told = {key: _sorted(value) for key, value in user.items() if key != "passwords"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _sorted(value: Any) -> Any:
    if isinstance(value, str):
        return sorted(value.split())
    return sorted(value, key=str) if isinstance(value, list) else value


def _standing(line: str) -> Standing:
    """From a line ``user NAME on #hash ~keys +rules`` of the ACL list, without the hashes."""
    _, name, *words = line.split(" ")
    found = _OURS.fullmatch(name)
    order = f"{found[1].upper()}.{found[2]}" if found else None
    return Standing(native=name, entitlement=" ".join(word for word in words if word[:1] != "#"), order=order)
