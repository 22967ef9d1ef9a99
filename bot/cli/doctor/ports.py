"""What the doctor looks at where a process listens: whether its ports are free, or a bot runs here."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import aiohttp

from bot.cli.doctor.checks import Check, CheckResult, good, stops_run
from bot.process.listening import Listener, places, refusal, runs_here
from bot.process.parts import ProcessRole
from bot.settings import Settings


def checks(settings: Settings, role: ProcessRole, session: aiohttp.ClientSession) -> list[Check]:
    """One check, of every port that the role needs."""

    async def look() -> Sequence[CheckResult]:
        taken = [(place, error) for place in places(settings, role) if (error := _bound(place))]
        if taken and await runs_here(settings, session):
            return [good("ports", f"a bot runs here: it answers on {settings.ops_host}:{settings.ops_port}")]
        if taken:
            return [stops_run("ports", *refusal(place, error).split("; ", 1)) for place, error in taken]
        needed = ", ".join(f"{place.port} ({place.setting})" for place in places(settings, role))
        return [good("ports", f"free: {needed}" if needed else "none is needed")]

    return [Check("ports", look)]


def _bound(place: Listener) -> OSError | None:
    """Why nothing could listen there. It is bound and not listened on, so a bot that starts meanwhile gets it."""
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind((place.host, place.port))
        except OSError as error:
            return error
    return None
