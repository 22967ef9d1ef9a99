"""What the directories over HTTP share: one call, bounded in time and size, that is not sent on to another host."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urljoin

import aiohttp
from pydantic import AfterValidator, Field, SecretStr
from yarl import URL

from providers.base import Frozen
from providers.directories.base import NoAnswer, Refused
from providers.http_client import HttpAnswer, HttpSession, connection_error, reason, retry_after, web_address

LARGEST = 5_000_000
"""Bytes of an answer."""
LOOK_UP = 20.0
"""Seconds that all calls of one `look_up` may take together."""
_MOST_REDIRECTS = 3
_TEXT_LIMIT = 2_000
_EMAIL = re.compile(r"[^@\s<>|]{1,64}@[^@\s<>|]{1,190}")


def _secret_address(url: SecretStr) -> SecretStr:
    web_address(url.get_secret_value())
    return url


WebAddress = Annotated[str, Field(max_length=_TEXT_LIMIT), AfterValidator(web_address)]
SecretAddress = Annotated[SecretStr, Field(max_length=_TEXT_LIMIT), AfterValidator(_secret_address)]
"""An address that has a secret in its path, as those of calendars have."""


class HttpOptions(Frozen):
    """How long an answer may take, in seconds; ``ca``: whom to trust, in PEM, in place of the machine's authorities."""

    timeout: float = Field(default=5.0, gt=0, le=5)
    ca: Path | None = None


class HttpReader(HttpSession):
    """A session that reads, and asks for what it reads with."""

    def __init__(self, options: HttpOptions) -> None:
        """Open nothing."""
        super().__init__(options.timeout, lambda: _context(options.ca))

    async def get(
        self, url: str, headers: Mapping[str, str], params: list[tuple[str, str]] | None = None, redirects: int = 0
    ) -> HttpAnswer:
        """Ask once. ``redirects``: how many are followed, to the same host and port only. Raises `NoAnswer`."""
        target = URL(url)
        if params:
            target = target.extend_query(params)
        try:
            async with self.opened().get(target, headers=headers, allow_redirects=False) as answer:
                where = answer.headers.get("Location", "")
                if 300 <= answer.status < 400 and where and redirects:
                    target = _same_host(target, where)
                else:
                    return await _page(answer)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NoAnswer(reason(error)) from None
        return await self.get(str(target), headers, redirects=min(redirects, _MOST_REDIRECTS) - 1)

    async def post_form(self, url: str, form: Mapping[str, str]) -> HttpAnswer:
        """Send a form once; it may hold secrets, so no redirect is followed. Raises `NoAnswer`."""
        headers = {"Accept": "application/json"}
        try:
            async with self.opened().post(URL(url), data=dict(form), headers=headers, allow_redirects=False) as answer:
                return await _page(answer)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NoAnswer(reason(error)) from None


@contextlib.asynccontextmanager
async def look_up() -> AsyncIterator[None]:
    """The time in which many calls have to end. Raises `NoAnswer`."""
    try:
        async with asyncio.timeout(LOOK_UP):
            yield
    except TimeoutError:
        raise NoAnswer("it did not answer in time") from None


async def _page(answer: aiohttp.ClientResponse) -> HttpAnswer:
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise NoAnswer("it sends its answer compressed, which was not asked for")
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > LARGEST:
            raise NoAnswer(f"its answer is longer than {LARGEST // 1_000_000} MB")
    headers = {name.lower(): ", ".join(answer.headers.getall(name)) for name in answer.headers}
    after = retry_after(answer.headers.get("Retry-After"))
    return HttpAnswer(answer.status, answer.content_type, bytes(content), after, headers)


def _same_host(asked: URL, where: str) -> URL:
    target = URL(urljoin(str(asked), where))
    if target.origin() != asked.origin():
        raise NoAnswer("it points to another host, which is not followed: give the address itself")
    return target


def _context(ca: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise NoAnswer(f"the file `ca` ({ca}) cannot be used: {connection_error(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def refusal(page: HttpAnswer, hints: Mapping[int, str]) -> Refused | NoAnswer:
    """The error of an answer that cannot be used. ``hints``: what to do, by the statuses that are a definite no."""
    if page.status in hints:
        return Refused(f"it answers {page.named()}: {hints[page.status]}")
    if 300 <= page.status < 400:
        return NoAnswer(
            f"it answers {page.named()}: it points elsewhere, which is not followed; give the address itself"
        )
    return NoAnswer(f"it answers {page.named()}", page.after)


def json_object(page: HttpAnswer) -> dict[str, Any] | None:
    """The JSON object that an answer is; None where it is anything else."""
    found = _json(page)
    return found if isinstance(found, dict) else None


def json_list(page: HttpAnswer) -> list[Any] | None:
    """The JSON array that an answer is; None where it is anything else."""
    found = _json(page)
    return found if isinstance(found, list) else None


def _json(page: HttpAnswer) -> Any:
    try:
        return json.loads(page.content)
    except (ValueError, RecursionError):
        return None


def email_address(value: object) -> str | None:
    """What a directory says is somebody's e-mail address, in small letters; None where it can be none."""
    return value.lower() if isinstance(value, str) and _EMAIL.fullmatch(value) else None
