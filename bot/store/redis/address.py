"""Where the store is: REDIS_URL in its parts, every mistake worded; it connects to nothing and shows no secret."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

Kind = Literal["server", "sentinel", "cluster"]
Node = tuple[str, int]

_SCHEME = re.compile(r"(?:rediss?(?:\+sentinel|\+cluster)?|unix)://")
_NODE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(?P<port>\d{1,5}))?")
_PORT: dict[Kind, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
_FILES = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_OPTIONS = frozenset({
    *_FILES,
    *("db", "username", "password", "client_name", "protocol", "max_connections", "timeout"),
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "health_check_interval"),
    *("ssl_ca_path", "ssl_ca_data", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname"),
    *("ssl_min_version", "ssl_ciphers"),
})  # fmt: skip
_UNREADABLE = "cannot be read as host:port: write special signs of its password as %XX (/ is %2F)"
_OF_SENTINELS = ("sentinel_username", "sentinel_password")


class BadAddress(ValueError):
    """REDIS_URL cannot be used; the sentence says what is wrong, and repeats nothing that may be a secret."""


@dataclass(frozen=True)
class Address:
    """A store's address. ``url`` is what redis-py reads; where a leader has to be asked for, its host is not used.

    ``nodes``: the sentinels, or some nodes of the cluster. ``sentinel_options``: what only they are told.
    """

    kind: Kind
    url: str = field(repr=False)
    nodes: tuple[Node, ...] = ()
    service: str = ""
    sentinel_options: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def tls(self) -> bool:
        """Whether its servers, and its sentinels, are spoken to under TLS."""
        return self.url.startswith("rediss://")


def parse(url: str) -> Address:
    """Read a REDIS_URL. Raises `BadAddress`."""
    if not _SCHEME.match(url):
        raise BadAddress(
            "is of a kind that is not supported: it begins with redis://, rediss:// or unix://, "
            "or with redis+sentinel:// or redis+cluster:// (rediss+… under TLS)"
        )
    scheme, kind = _split(url.partition("://")[0])
    if kind == "server":
        return Address(kind, _plain(url))
    parts = _looked_at(url)
    options = dict(parse_qsl(parts.query))
    of_sentinels = {name.removeprefix("sentinel_"): options.pop(name) for name in _OF_SENTINELS if name in options}
    user, mark, hosts = parts.netloc.rpartition("@")
    nodes = tuple(_node(host, _PORT[kind]) for host in hosts.split(","))
    service, db = _service(parts.path) if kind == "sentinel" else ("", _only_database(parts.path, options))
    plain = _plain(f"{scheme}://{user}{mark}leader/{db}?{urlencode(options, quote_via=quote)}")
    return Address(kind, plain, nodes, service, of_sentinels)


def _split(scheme: str) -> tuple[str, Kind]:
    plain, _, way = scheme.partition("+")
    match way:
        case "sentinel":
            return plain, "sentinel"
        case "cluster":
            return plain, "cluster"
        case _:
            return plain, "server"


def _looked_at(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise BadAddress(_UNREADABLE) from None


def _plain(url: str) -> str:
    """An address of one server, looked through; as redis-py reads it."""
    split = _looked_at(url)
    try:
        # A password with a bare / or # ends the address early, and its beginning is then taken for a port.
        _ = split.port
    except ValueError:
        raise BadAddress(_UNREADABLE) from None
    for name, value in parse_qsl(split.query):
        if name not in _OPTIONS:
            near = difflib.get_close_matches(name, _OPTIONS, n=1)
            raise BadAddress(f"has an option that is not known: {name}" + (f"; is it {near[0]}?" if near else ""))
        if name in _FILES and not Path(value).is_file():
            raise BadAddress(f"names a file that is not there: {name}={value}")
    return url


def _node(text: str, port: int) -> Node:
    found = _NODE.fullmatch(text)
    number = int(found["port"] or port) if found else 0
    if not found or not 0 < number < 65_536:
        raise BadAddress(_UNREADABLE)
    return found["host"].strip("[]"), number


def _only_database(path: str, options: dict[str, str]) -> str:
    if path.strip("/") not in {"", "0"} or options.get("db", "0") != "0":
        raise BadAddress("names a database: a cluster has only one, leave it out")
    return "0"


def _service(path: str) -> tuple[str, str]:
    """What the sentinels call the master, and the database."""
    named = [unquote(part) for part in path.split("/") if part]
    if not named:
        raise BadAddress(
            "names no service: it is redis+sentinel://host:26379/service, as the sentinels call the master"
        )
    service, *db = named
    if len(db) > 1 or not all(number.isdigit() for number in db):
        raise BadAddress("has more behind its service than the number of a database: redis+sentinel://host/service/0")
    return service, db[0] if db else "0"
