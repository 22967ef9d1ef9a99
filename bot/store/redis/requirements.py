"""Whether a Redis is fit to keep the records, by what its INFO says; it changes nothing there.

Each finding is a sentence and how to fix it: the bot's start logs the warnings and refuses what would lose records,
and whoever else asks gets the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bot.store.durability import replicas_online
from bot.store.encoding import away
from bot.store.redis.address import Kind

_OLDEST = (6, 2)


class Level(StrEnum):
    """How grave a finding is."""

    FINE = "fine"
    """As it should be."""
    WARNING = "warning"
    """It works, and something that was recorded might be lost."""
    UNFIT = "unfit"
    """Records would be lost, or could not be written: the bot does not start."""


@dataclass(frozen=True)
class Requirement:
    """One thing that was looked at: ``said`` is what is there, ``fix`` how to have it right, empty where it is."""

    level: Level
    said: str
    fix: str = ""


async def findings(redis: Redis, kind: Kind = "server") -> tuple[Requirement, ...]:
    """What is found, each thing in its own sentence. ``kind``: what REDIS_URL takes it for. Raises `StoreAway`."""
    try:
        info = await away(_info(redis))
    except _Refused as error:
        how = "allow it to the bot's user (+info), or look yourself: maxmemory-policy noeviction, appendonly yes"
        return (Requirement(Level.WARNING, f"Redis does not tell how it is set up: {error}", how),)
    return _version(info), _role(info), _eviction(info), *_writing(info), _replicas(info), *_cluster(info, kind)


class _Refused(Exception):
    """INFO is not allowed to us."""


async def _info(redis: Redis) -> Mapping[str, Any]:
    try:
        return await redis.info()
    except ResponseError as error:
        raise _Refused(str(error)) from error


def _version(info: Mapping[str, Any]) -> Requirement:
    version = str(info.get("redis_version", "0"))
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {version}"
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST:
        return Requirement(Level.UNFIT, f"{name} is too old for the bot's scripts", "use Redis 6.2 or later, or Valkey")
    return Requirement(Level.FINE, name)


def _role(info: Mapping[str, Any]) -> Requirement:
    if info.get("role") == "master":
        return Requirement(Level.FINE, "it is the master")
    said = f"it is a replica of {info.get('master_host')}:{info.get('master_port')}, and takes no writes"
    fix = "set REDIS_URL to its master, or to the sentinels (redis+sentinel://host:26379/service)"
    return Requirement(Level.UNFIT, said, fix)


def _eviction(info: Mapping[str, Any]) -> Requirement:
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        return Requirement(Level.FINE, "maxmemory-policy is noeviction")
    said = f"maxmemory-policy is {policy}: when its memory is full, Redis throws records away"
    return Requirement(
        Level.UNFIT, said, "set maxmemory-policy noeviction, for this Redis alone, and maxmemory with room"
    )


def _writing(info: Mapping[str, Any]) -> list[Requirement]:
    if not info.get("aof_enabled"):
        said = "the append-only file is off: what was recorded since the last snapshot is lost with the server"
        return [Requirement(Level.WARNING, said, "set appendonly yes, and appendfsync always where you can")]
    if info.get("aof_last_write_status", "ok") != "ok":
        said = "the append-only file could not be written lately: Redis refuses writes"
        return [Requirement(Level.WARNING, said, "see that its disk has room and works")]
    return [Requirement(Level.FINE, "the append-only file is on")]


def _replicas(info: Mapping[str, Any]) -> Requirement:
    connected, online = int(info.get("connected_slaves", 0)), replicas_online(info)
    if connected != online:
        said = f"of {connected} replicas, {online} follow"
        return Requirement(Level.WARNING, said, "wait until they are filled, or look into their logs")
    return Requirement(Level.FINE, f"{online} replicas follow" if online else "it has no replicas")


def _cluster(info: Mapping[str, Any], kind: Kind) -> list[Requirement]:
    if not info.get("cluster_enabled") or kind == "cluster":
        return []
    said = "it is a node of a cluster, and REDIS_URL takes it for a server of its own"
    return [Requirement(Level.WARNING, said, "write redis+cluster://host:port, with as many of its nodes as you like")]
