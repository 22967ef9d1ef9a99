"""REDIS_URL → clients, of a server, of the primary that Sentinel names, or of a cluster. Failovers are followed.

Whoever leads is asked for at each connect, never remembered: behind sentinels it is the master that they agree on,
in a cluster the node that serves the one slot of a workspace. A connection whose server says that it leads no more
(READONLY, MOVED) is closed, and what was asked is asked of the new leader, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.crc import key_slot
from redis.exceptions import MovedError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as SendTimeout

from bot import tasks
from bot.store.encoding import NoLeader, text
from bot.store.quarantine import Client
from bot.store.redis.address import Address, Node, parse

PATIENCE: Final = 1.2
"""Seconds that a server may take to answer. With the second try, a store that hangs is given up before Slack gives
up waiting for us."""
_ASKING: Final = 0.3
"""Seconds that a sentinel or a node may take to say who leads."""
_MOST = 64

Options = dict[str, Any]
FindLeader = Callable[[], Awaitable[Node]]


class Leading(Protocol):
    """Looks up the primary, and closes its own connections."""

    async def __call__(self) -> Node:
        """The address of the primary. Raises a `RedisError` where nobody knows it."""

    async def aclose(self) -> None:
        """Close."""


class Link:
    """The way to the store. Nothing is sent before a client's first call; `aclose` closes every client it gave."""

    def __init__(self, url: str) -> None:
        """Read the URL. Raises `BadAddress`."""
        self.address = parse(url)
        self._options: Options = dict(parse_url(self.address.url))
        self._leaders: dict[int, Leading] = {}
        self._clients: dict[tuple[int, bool], Redis] = {}

    def commands(self, key: str) -> Redis:
        """A client for commands on the key and what shares its slot; each command may be sent twice."""
        return self._client(key, blocking=False)

    def blocking(self, key: str) -> Redis:
        """A client without a read timeout, for pub/sub; it sends nothing twice."""
        return self._client(key, blocking=True)

    async def aclose(self) -> None:
        """Close every client."""
        for client in self._clients.values():
            await client.aclose()
        for leader in self._leaders.values():
            await leader.aclose()

    def _client(self, key: str, *, blocking: bool) -> Redis:
        slot = key_slot(key.encode()) if self.address.kind == "cluster" else 0
        if (slot, blocking) not in self._clients:
            pool = self._waiting_pool(slot) if blocking else self._pool(slot)
            self._clients[slot, blocking] = Client.from_pool(pool)
        return self._clients[slot, blocking]

    def _pool(self, slot: int) -> ConnectionPool:
        # A burst waits for a connection; it is not told that the store is away.
        defaults: Options = {
            "max_connections": _MOST,
            "timeout": 2,
            "socket_timeout": PATIENCE if self.address.kind == "server" else PATIENCE - _ASKING,
            "socket_connect_timeout": PATIENCE,
        }
        return BlockingConnectionPool(**{**defaults, **self._connecting(slot)}, retry=Retry(NoBackoff(), 1))

    def _waiting_pool(self, slot: int) -> ConnectionPool:
        options: Options = {"socket_connect_timeout": 3, **self._connecting(slot)}
        forced: Options = {"socket_timeout": None, "retry": Retry(NoBackoff(), 0)}
        options.pop("timeout", None)
        return ConnectionPool(**{**options, **forced})

    def _connecting(self, slot: int) -> Options:
        """Makes connections to the primary of the slot."""
        options = dict(self._options)
        if self.address.kind != "server":
            options["connection_class"] = LedTls if self.address.tls else Led
            options["leader"] = self._leader(slot)
        elif self.address.url.startswith("unix://"):
            options["connection_class"] = Unix
        else:
            options["connection_class"] = TlsConnection if self.address.tls else Tcp
        return options

    def _leader(self, slot: int) -> Leading:
        if slot not in self._leaders:
            self._leaders[slot] = _leading(self.address, self._options, slot)
        return self._leaders[slot]


def _leading(address: Address, options: Options, slot: int) -> Leading:
    kept = {name: value for name, value in options.items() if name.startswith("ssl_")}
    asked: Options = {
        **kept,
        "ssl": address.tls,
        "socket_timeout": _ASKING,
        "socket_connect_timeout": _ASKING,
        "retry": Retry(NoBackoff(), 0),
    }
    if address.kind == "sentinel":
        return Sentinels(address, {**asked, **address.sentinel_options})
    named: Options = {name: options[name] for name in ("username", "password") if name in options}
    return SlotOwner(address, {**asked, **named}, slot)


class Sentinels:
    """Asks the sentinels for the primary; concurrent look-ups are one."""

    def __init__(self, address: Address, options: Options) -> None:
        """Nothing is sent before the first question."""
        self._service = address.service
        self._sentinel = Sentinel(address.nodes, sentinel_kwargs=options)  # type: ignore[no-untyped-call]  # redis-py gives it no types
        self._asking: asyncio.Task[Node] | None = None

    async def __call__(self) -> Node:
        """The master that the first sentinel to answer knows, and does not think down."""
        if self._asking is None or self._asking.done():
            # redis-py's client reorders its list while it asks, and loses sentinels when it is asked twice at once.
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Node:
        try:
            host, port = await self._sentinel.discover_master(self._service)
        except MasterNotFoundError as error:
            raise NoLeader(f"no sentinel answers and knows a master named {self._service} that is up") from error
        return str(host), int(port)

    async def aclose(self) -> None:
        """Close the connections to the sentinels."""
        if self._asking and not self._asking.done():
            await tasks.end([self._asking])
        await self._sentinel.aclose()


class SlotOwner:
    """Asks the nodes of a cluster who serves a slot; each node that it hears of can be asked the next time."""

    def __init__(self, address: Address, options: Options, slot: int) -> None:
        """Nothing is sent before the first question."""
        self._nodes, self._options, self._slot = list(address.nodes), options, slot

    async def __call__(self) -> Node:
        """The node that the first to answer knows."""
        for node in list(self._nodes):
            try:
                owners = await self._table(node)
            except (RedisError, OSError):
                continue
            known = [owner for _, owner in owners]
            self._nodes = [*dict.fromkeys(known), *(old for old in self._nodes if old not in known)]
            if mine := [owner for slots, owner in owners if self._slot in slots]:
                return mine[0]
        raise NoLeader(f"no node of the cluster answers and knows who serves slot {self._slot}")

    async def _table(self, node: Node) -> list[tuple[range, Node]]:
        async with Redis(host=node[0], port=node[1], **self._options) as client:
            found: Any = await client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]  # redis-py
        # A node that does not know its own name is the one that was asked.
        return [(range(first, last + 1), (text(ip) or node[0], int(port))) for first, last, (ip, port, *_), *_ in found]

    async def aclose(self) -> None:
        """Nothing is kept open."""


class _Packing:
    """Mixed into a connection: what is sent is put together in C, as redis-py does for the client that blocks.

    And a cancellation ends a call that is being sent: redis-py waits with `asyncio.wait_for`, which loses one on Python
    3.11, so that no time limit around the call would hold.
    """

    _packer = HiredisRespSerializer()

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # redis-py's own
        connection: Any = self
        if not connection.is_connected:
            await connection.connect_check_health(check_health=False)
        limit, connection.socket_timeout = connection.socket_timeout, None
        try:
            async with asyncio.timeout(limit):
                await super().send_packed_command(command, check_health)  # type: ignore[misc]  # the connection beneath
        except TimeoutError as error:
            await connection.disconnect(nowait=True)
            raise SendTimeout("the server does not take what is sent") from error
        finally:
            connection.socket_timeout = limit

    def pack_command(self, *args: Any) -> list[bytes]:
        packed: list[bytes] = self._packer.pack(*args)
        return packed


class _Leaving(_Packing):
    """Mixed into a connection: closed when its server says that it is no primary any more; the call is retried."""

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]  # the connection beneath
        except ResponseError as error:
            if not _leads_no_more(error):
                raise
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]  # the connection beneath
            raise NoLeader("that server takes no writes: it is a replica, or its slots have moved") from error


def _leads_no_more(error: ResponseError) -> bool:
    # Redis 6.2 hides the word in the text when a script's write was refused.
    return isinstance(error, ReadOnlyError | MovedError) or "-READONLY" in str(error)


class Unix(_Packing, UnixDomainSocketConnection):
    """To a server on this machine, by its socket's path."""


class Tcp(_Leaving, Connection):
    """To a server by its name, which may come to mean another server."""


class TlsConnection(_Leaving, SSLConnection):
    """The same, under TLS."""


class _Asking:
    """Mixed into a connection: it connects to the primary."""

    def __init__(self, *, leader: FindLeader, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._leader = leader

    async def _connect(self) -> None:
        self.host, self.port = await self._leader()
        await super()._connect()  # type: ignore[misc]  # the connection beneath


class Led(_Asking, Tcp):
    """To the primary."""


class LedTls(_Asking, TlsConnection):
    """The same, under TLS."""
