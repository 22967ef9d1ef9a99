"""The provider's talk with one server: its client, its fences, its ACL file, and every failure in the contract's words.

It knows no order and judges no user; what a verb does is in `provider`.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import redis.asyncio as aioredis
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

from providers.systems.base import Refused, Unsure
from providers.systems.redis_acl.config import RedisConfig
from providers.systems.redis_acl.errors import forbidden, why
from providers.systems.redis_acl.server import KnownServer, RunningServer, seen

_MODIFIER = re.compile(r"ACL SETUSER modifier '([^'#>]*)': (.*)")
TARGET = "jit-target-"
"""How the disabled user begins whose name is the identity that stands in a server's ACL file."""
FENCE_TIMEOUTS = 2
"""How many timeouts after it was sent the server still makes a change."""


class AclSession:
    """One provider's connections. It retries nothing: a second try is the worker's to decide."""

    def __init__(self, config: RedisConfig) -> None:
        """Prepare a client; nothing is connected."""
        self._config = config
        self.client = self.fresh()
        self.bot = unquote(urlsplit(config.url.get_secret_value()).username or "default")

    def fresh(self, **more: Any) -> aioredis.Redis:
        """A client of its own."""
        return aioredis.Redis.from_url(
            self._config.url.get_secret_value(),
            socket_connect_timeout=self._config.timeout,
            socket_timeout=self._config.timeout,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            protocol=2,
            decode_responses=True,
            **more,
        )

    def cure(self, *rules: str) -> str:
        """The command that grants the bot's user what it lacks."""
        return f"ACL SETUSER {self.bot} {' '.join(rules)}"

    @asynccontextmanager
    async def talk(self, verb: str) -> AsyncIterator[None]:
        """Within one verb's time, every failure in the contract's words."""
        try:
            async with asyncio.timeout(self._config.timeout * 2.5):
                yield
        except AuthenticationError as error:
            raise Refused(f"{verb}: the server does not accept the url's user {self.bot} and its password") from error
        except ReadOnlyError as error:
            raise Refused(f"{verb}: this is a replica; point the url at the primary") from error
        except WatchError as error:
            raise Unsure(f"{verb}: came too late and was stopped by the server, nothing was changed") from error
        except (RedisError, OSError, TimeoutError) as error:
            if rule := forbidden(error):
                raise Refused(f"{verb}: the bot's user lacks {rule}; run `{self.cure(rule)}`") from error
            if isinstance(error, ResponseError):
                raise Unsure(f"{verb}: this server does not do it just now: {why(error)}") from error
            raise Unsure(f"{verb}: no answer from Redis ({type(error).__name__})") from error

    @contextmanager
    def made(self, what: str) -> Iterator[None]:
        """After something was made a no is no definite no any more: it would be taken for "nothing was done"."""
        try:
            yield
        except RedisError as error:
            raise Unsure(f"{what} was made, and then: {why(error)}") from error

    async def say(self, *words: str) -> Any:
        """One command; its words come one by one, so that redis-py's shaping of some answers stays out."""
        return await self.client.execute_command(*words)  # type: ignore[no-untyped-call]  # it has no types

    async def acl(self, *words: str) -> Any:
        """An ``ACL`` command."""
        return await self.say("ACL", *words)

    async def user(self, name: str) -> dict[str, Any] | None:
        """An ACL user as the server tells of it."""
        flat = await self.acl("GETUSER", name)
        if flat is None or isinstance(flat, dict):
            return flat
        return dict(zip(flat[::2], flat[1::2], strict=True))

    # which server

    async def seen(self) -> RunningServer:
        """The process that answers."""
        return await self._server(await self.say("INFO"))

    async def recognized(self, then: KnownServer | None) -> KnownServer | None:
        """The process that answers, as a receipt has it; None where it is not the server of ``then``.

        What changes by itself stays as it was first seen, so that a second grant has the same receipt.
        """
        info: Mapping[str, Any] = await self.say("INFO")
        if then is not None and info["run_id"] == then.run_id:
            return then
        now, first = await self._server(info), then or KnownServer(run_id="")
        if then is not None and not now.is_the(then):
            return None
        return first.model_copy(update={"run_id": now.run_id, "address": now.address, "instance": now.instance})

    async def _server(self, info: Mapping[str, Any]) -> RunningServer:
        try:
            told = str(await self.say("CLIENT", "INFO"))
        except ResponseError:
            told = ""  # where it cannot be told, no address is the same
        local = next((word.removeprefix("laddr=") for word in told.split() if word.startswith("laddr=")), "")
        return seen(info, local, await self.instance())

    async def instance(self) -> str:
        """What this server's ACL file calls it; empty where there is no such file."""
        ids = sorted(name.removeprefix(TARGET) for name in await self.acl("USERS") if name.startswith(TARGET))
        return str(ids[0]) if ids else ""

    async def name_instance(self) -> str:
        """Give the server an identity; of two who would do so at once, one is sent away to ask again."""
        if not await self.client.set(_fence("target"), "1", nx=True, px=int(self._config.timeout * 3000)):
            raise Unsure("another process is giving this Redis its identity, ask again")
        await self.acl("SETUSER", TARGET + secrets.token_hex(8), "reset", "off")
        await self.save()
        return await self.instance()

    # changes

    async def fenced(self, name: str, *how: str) -> None:
        """Set the user up, unless the server comes to it only after our time, or a revoke was there meanwhile.

        The fence is a key with a short life, which every revoke takes away. Who may write it can stop a grant, and
        open nothing: the change runs only on the connection that watched the fence while it was ours.
        """
        fence, token = _fence(name), secrets.token_hex(8)
        await self.client.set(fence, token, px=int(self._config.timeout * FENCE_TIMEOUTS * 1000))
        async with self.client.pipeline(transaction=True) as pipe:
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
                # redis-py quotes the whole command, and a hash could be in it.
                if not (found := _MODIFIER.search(str(error))):
                    raise
                raise Refused(f"Redis does not take the rule {found[1]}: {found[2]}") from error
        with self.made(f"the ACL user {name}"):
            await self.client.delete(fence)

    async def shut(self, name: str, *marks: str) -> int | Exception:
        """Take everything from the user, end its sessions, delete it; how many sessions, or why that is not known.

        Three commands in one packet, none of which needs the others: the first stops logins and takes every right
        from those who are in, the second only counts, the third disconnects whoever is left. All are carried out
        even if we do not live to read the answers, and none writes data: a full disk or a missing replica stops none.
        """
        async with self.client.pipeline(transaction=False) as pipe:
            pipe.execute_command("ACL", "SETUSER", name, "reset", "resetchannels", *marks)
            pipe.execute_command("CLIENT", "KILL", "USER", name)
            pipe.execute_command("ACL", "DELUSER", name)
            stopped, killed, deleted = await pipe.execute(raise_on_error=False)
        if not isinstance(deleted, Exception):
            return killed if isinstance(killed, Exception) else int(killed)
        if isinstance(stopped, Exception):
            raise deleted
        raise Refused(
            f"the ACL user {name} may do nothing any more, but could not be deleted: {why(deleted)}; "
            f"run `ACL DELUSER {name}`, and `{self.cure('+acl|deluser')}` for the next one"
        )

    async def unfence(self, name: str) -> str:
        """Stop the grants that are on their way; where that cannot be done, what may come of it."""
        try:
            await self.client.delete(_fence(name))
        except ResponseError as error:
            # A server that takes no writes makes no user by a fence either, but it may take them again meanwhile.
            if await self.client.get(_fence(name)) is None:
                return ""
            return f"a grant on its way may land for {self._config.timeout * FENCE_TIMEOUTS:g} s more: {why(error)}"
        return ""

    async def save(self) -> bool:
        """Write the ACL file; False where the server has none."""
        try:
            await self.acl("SAVE")
        except ResponseError as error:
            if has_no_file(error):
                return False
            raise
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()


def has_no_file(error: Exception) -> bool:
    """Whether ACL SAVE failed only because no file is configured."""
    return "not configured to use an ACL file" in str(error)


def _fence(name: str) -> str:
    return f"jit:fence:{name}"
