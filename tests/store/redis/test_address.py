"""REDIS_URL: what it may be, and what is said of one that cannot be used; its secrets are never repeated."""

from __future__ import annotations

import pytest

from bot.store.redis.address import BadAddress, parse
from bot.store.redis.client import Link


@pytest.mark.parametrize(
    ("url", "nodes", "service", "read"),
    [
        ("redis+sentinel://h/jit", (("h", 26379),), "jit", "redis://leader/0?"),
        (
            "redis+sentinel://u:p%2Fq@a:1,b:2,10.0.0.3/jit/4?socket_timeout=3",
            (("a", 1), ("b", 2), ("10.0.0.3", 26379)),
            "jit",
            "redis://u:p%2Fq@leader/4?socket_timeout=3",
        ),
        ("rediss+sentinel://[::1]:5,[::2]:6/my%20jit", (("::1", 5), ("::2", 6)), "my jit", "rediss://leader/0?"),
        ("redis+cluster://a:1,b", (("a", 1), ("b", 6379)), "", "redis://leader/0?"),
        ("redis+cluster://:p@a/0", (("a", 6379),), "", "redis://:p@leader/0?"),
    ],
)
def test_sentinels_and_clusters_are_read(url: str, nodes: tuple[tuple[str, int], ...], service: str, read: str) -> None:
    address = parse(url)
    assert (address.nodes, address.service, address.url) == (nodes, service, read)
    assert address.tls == url.startswith("rediss")
    assert Link(url).address == address


@pytest.mark.parametrize("url", ["redis://u:p@h:1/0", "rediss://h", "unix:///run/r.sock?db=1", "redis://[::1]:6379"])
def test_a_server_is_left_to_redis_py(url: str) -> None:
    assert (parse(url).kind, parse(url).url) == ("server", url)


def test_what_only_the_sentinels_are_told() -> None:
    address = parse("redis+sentinel://:hunter2@h/jit?sentinel_username=u&sentinel_password=hunter3&db=2")
    assert address.sentinel_options == {"username": "u", "password": "hunter3"}
    assert address.url == "redis://:hunter2@leader/0?db=2"
    assert "hunter" not in repr(address)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis:6379", "it begins with redis://, rediss:// or unix://"),
        ("http://h", "or with redis+sentinel:// or redis+cluster://"),
        ("unix+sentinel://h/jit", "is of a kind that is not supported"),
        ("redis://:hun/ter2@h:6379", "special signs of its password as %XX"),
        ("redis://h:99999", "cannot be read as host:port"),
        ("redis://a:1,b:2", "cannot be read as host:port"),
        ("redis+sentinel://:hun/ter2@h:6379/jit", "cannot be read as host:port"),
        ("redis+sentinel://[::1/jit", "cannot be read as host:port"),
        ("redis+sentinel://h:0/jit", "cannot be read as host:port"),
        ("redis+sentinel://h:99999/jit", "cannot be read as host:port"),
        ("redis+sentinel://a,,b/jit", "cannot be read as host:port"),
        ("redis+sentinel://h", "names no service: it is redis+sentinel://host:26379/service"),
        ("redis+sentinel://h/jit/one", "has more behind its service than the number of a database"),
        ("redis+sentinel://h/jit/0/1", "has more behind its service than the number of a database"),
        ("redis+cluster://h/1", "names a database: a cluster has only one"),
        ("redis+cluster://h?db=1", "names a database: a cluster has only one"),
        ("redis://h?socket_timeuot=3", "has an option that is not known: socket_timeuot; is it socket_timeout?"),
        ("redis+cluster://h?decode_responses=true", "has an option that is not known: decode_responses"),
        ("rediss://h?ssl_ca_certs=/nowhere/ca.pem", "names a file that is not there: ssl_ca_certs=/nowhere/ca.pem"),
    ],
)
def test_what_cannot_be_used_is_said_without_its_secret(url: str, said: str) -> None:
    with pytest.raises(BadAddress) as raised:
        parse(url)
    assert said in str(raised.value)
    assert "ter2" not in str(raised.value)
