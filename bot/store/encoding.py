"""Encodes values for Redis and decodes its answers; turns its errors into `StoreAway`. It names no key."""

from __future__ import annotations

import math
import ssl
from collections.abc import Awaitable
from importlib.resources import files
from typing import TypeVar

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from bot.core.errors import StoreAway

T = TypeVar("T")


class NoLeader(RedisConnectionError):
    """The primary cannot be found; the sentence says where it was looked for."""


async def away(call: Awaitable[T]) -> T:
    """Wait for Redis. Raises `StoreAway` for every error."""
    try:
        return await call
    except RedisConnectionError as error:
        raise StoreAway(_known(error) or type(error).__name__) from error
    except (RedisError, OSError) as error:
        raise StoreAway(f"{type(error).__name__}: {error}") from error


async def raised(error: Exception) -> None:
    """One answer of a pipeline that is an error, to be awaited by `away`."""
    raise error


def _known(error: BaseException) -> str:
    """Why there is no connection, where that is known; other errors' texts name addresses."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}): name its CA's file, ?ssl_ca_certs=PATH"
        if isinstance(cause, NoLeader):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return ""


def script(redis: Redis, name: str) -> AsyncScript:
    """One of the scripts in lua/, ready to be called; nothing is sent before its first call."""
    body = _lua(name)
    return redis.register_script(_lua("event") + body if "\n-- with event.lua\n" in body else body)


def _lua(name: str) -> str:
    return files("bot.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


def text(value: bytes | str | None) -> str:
    """A value as text. Invalid UTF-8, which only a forger writes, does not raise."""
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def seconds(time: tuple[int, int]) -> float:
    """Redis `TIME`, as Unix seconds."""
    return time[0] + time[1] / 1e6


def stamp(at: float | None) -> str:
    """A time in Unix seconds; empty for none."""
    return "" if at is None else f"{at:.6f}"


def milliseconds(at: float | None) -> str:
    """A time in Unix milliseconds, never before it; empty for none."""
    return "" if at is None else str(math.ceil(at * 1000))
