"""An operator's verb over the store of this environment, and in plain words what goes wrong; it needs no Slack."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from bot.desk import Desk

T = TypeVar("T")


def at_desk(verb: Callable[[Desk], Awaitable[T]], *told: type[Exception]) -> T:
    """What the verb answers. Raises `click.ClickException` for a refusal, and for each error whose text is ``told``."""
    import asyncio

    from bot import operators
    from bot.core.errors import JitError
    from bot.core.mistakes import PolicyMistakes
    from bot.settings import SettingsMistakes, load
    from handlers.replies import sentence

    async def done() -> T:
        async with operators.books(load(role="store")) as desk:
            return await verb(desk)

    try:
        return asyncio.run(done())
    except (SettingsMistakes, PolicyMistakes, operators.NoBooks) as error:
        raise click.ClickException(str(error)) from error
    except told as error:
        raise click.ClickException(str(error)) from error
    except JitError as error:
        raise click.ClickException(plain(sentence(error))) from error


def plain(said: str) -> str:
    """What Slack would show, without its signs: a time as UTC, and nothing that a terminal would obey."""
    import html
    import re

    return printable(html.unescape(re.sub(r"<!date\^[^|>]*\|([^>]*)>", r"\1", said).replace("`", "")))


def printable(text: str) -> str:
    """Without what a terminal would obey; lines stay lines."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)
