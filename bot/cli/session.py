"""An operator's verb over the store of this environment, and in plain words what goes wrong; it needs no Slack."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from bot import terminal

if TYPE_CHECKING:
    from bot.access.context import AccessContext

T = TypeVar("T")


def run_verb(
    verb: Callable[[AccessContext], Awaitable[T]],
    *told: type[Exception],
    reads: bool = False,
    work: str = "asking the store",
) -> T:
    """What the verb answers. ``reads``: it decides nothing, so it needs no policy.

    ``work``: what it does, which is said when it takes long; '' where it says so itself.
    Raises `terminal.Cannot` for what is missing or away, and `terminal.Failed` for a refusal and for each error whose
    text is ``told``.
    """
    import asyncio

    from bot.cli import requests
    from bot.core.errors import JitError, StoreAway
    from bot.policy.problems import PolicyMistakes
    from bot.settings import SettingsMistakes, load
    from bot.store.keyring import BadKeys
    from bot.store.redis.embedded import CannotEmbed
    from handlers.error_messages import sentence
    from handlers.views.text import unmarked

    async def done() -> T:
        async with requests.context_of(load(role="store"), reads=reads) as context:
            return await verb(context)

    try:
        with terminal.working(work) if work else contextlib.nullcontext():
            return asyncio.run(done())
    except (SettingsMistakes, PolicyMistakes, requests.NoStore, BadKeys, CannotEmbed) as error:
        raise terminal.Cannot(str(error)) from error
    except told as error:
        raise terminal.Failed(str(error)) from error
    except StoreAway as error:
        raise terminal.Cannot(f"{unmarked(sentence(error))} ({error})") from error
    except JitError as error:
        raise terminal.Failed(unmarked(sentence(error))) from error
