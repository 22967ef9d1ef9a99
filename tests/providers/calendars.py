"""Calendars in iCalendar's form, and a server that has some."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from aiohttp import web


def stamp(at: float) -> str:
    """A moment as iCalendar writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def event(uid: str, *lines: str) -> str:
    """One event of these lines."""
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT"])


def shift(begin: float, end: float, people: Sequence[str], *lines: str, uid: str = "shift") -> str:
    """Who is on call for a while."""
    attendees = [f"ATTENDEE;CN=x;PARTSTAT=ACCEPTED:mailto:{address}" for address in people]
    return event(uid, f"DTSTART:{stamp(begin)}", f"DTEND:{stamp(end)}", *attendees, *lines)


def calendar(events: Iterable[str], *lines: str) -> bytes:
    """A calendar of these events."""
    whole = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *lines, *events, "END:VCALENDAR", ""]
    return "\r\n".join(whole).encode()


class CalendarServer:
    """One calendar at one address, which is a secret."""

    PATH = "/private-0123456789abcdef/basic.ics"

    def __init__(self) -> None:
        self.content = calendar([])
        self.answer: web.Response | None = None
        self.calls = 0
        self.hangs = False
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.PATH}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get(self.PATH, self._get)
        app.router.add_get("/moved", self._get)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self.port or self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _get(self, request: web.Request) -> web.Response:
        self.calls += 1
        if self.hangs:
            await asyncio.sleep(60)
        if self.answer is not None and request.path == self.PATH:
            return web.Response(status=self.answer.status, body=self.answer.body, headers=self.answer.headers)
        return web.Response(body=self.content, content_type="text/calendar")
