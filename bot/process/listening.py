"""Where a process listens, and why it cannot: the setting, the port, and whether it is a bot that has it."""

from __future__ import annotations

import errno
from collections.abc import Awaitable
from typing import NamedTuple

import aiohttp

from bot import http_server
from bot.process.parts import ProcessRole
from bot.settings import Settings
from bot.startup import CannotStart

_PATIENCE = aiohttp.ClientTimeout(total=2)


class Listener(NamedTuple):
    """A port that is listened on, and the settings that say which."""

    setting: str
    host_setting: str
    host: str
    port: int


def ops_place(settings: Settings) -> Listener:
    """Health and metrics."""
    return Listener("JIT_OPS_PORT", "JIT_OPS_HOST", settings.ops_host, settings.ops_port)


def slack_place(settings: Settings) -> Listener:
    """What Slack calls over HTTP."""
    return Listener("PORT", "HOST", settings.host, settings.port)


def places(settings: Settings, role: ProcessRole) -> list[Listener]:
    """Every port that a role needs by number: 0 takes a free one."""
    over_http = role != "worker" and settings.slack_signing_secret is not None
    found = [ops_place(settings), *([slack_place(settings)] if over_http else [])]
    return [place for place in found if place.port]


async def serving(
    place: Listener, server: Awaitable[http_server.Serving], settings: Settings, session: aiohttp.ClientSession | None
) -> http_server.Serving:
    """The server of a place. Raises `CannotStart`."""
    try:
        return await server
    except OSError as error:
        ours = error.errno == errno.EADDRINUSE and await runs_here(settings, session)
        raise CannotStart(refusal(place, error, ours=ours)) from error


def refusal(place: Listener, error: OSError, *, ours: bool = False) -> str:
    """Why nothing can listen there; and what to do."""
    where = f"{place.setting}: port {place.port} of {place.host}"
    if ours:
        return f"{where} is in use by a bot that runs here; stop that one, or set JIT_OPS_PORT and PORT for a second"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{where} is in use; stop what listens there (`ss -ltnp`), or set {place.setting} to a free port"
        case errno.EADDRNOTAVAIL:
            return f"{place.host_setting}: {place.host} is no address of this machine; set it to one, or to 127.0.0.1"
        case errno.EACCES:
            return f"{where} is reserved for root; set {place.setting} to a port from 1024 on"
    return f"{where} cannot be listened on ({error.strerror or error}); set {place.host_setting} and {place.setting}"


async def runs_here(settings: Settings, session: aiohttp.ClientSession | None) -> bool:
    """Whether a bot answers where this one would show its health."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.ops_host, settings.ops_host)  # noqa: S104
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.ops_port}/healthz"
    if session is None or not settings.ops_port:
        return False
    try:
        async with session.get(url, timeout=_PATIENCE, allow_redirects=False) as answer:
            return bool(await answer.json() == http_server.ALIVE)
    except (aiohttp.ClientError, ValueError, TimeoutError):
        return False
