"""What an operator does at the terminal with the store at hand: look at requests, and close one by hand.

It needs the store and its keys, and not Slack: which workspace it is, the bot's last start left in the store.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import socket
import time
from collections.abc import AsyncIterator

from bot import policy_file
from bot.core import durations
from bot.core.deadlines import due
from bot.core.model import LegState, Request, State
from bot.desk import Desk
from bot.keyring import KeyRing
from bot.settings import Settings
from bot.store import embedded
from bot.store.connecting import Link
from bot.store.keys import Keys, home
from bot.store.store import Store
from bot.store.whence import Whence
from bot.store.wire import away


class NoBooks(RuntimeError):
    """The store cannot be read from here; the sentence says what is missing."""


def whoami() -> str:
    """``cli:<user>@<host>``."""
    return f"cli:{getpass.getuser()}@{socket.gethostname()}"


@contextlib.asynccontextmanager
async def books(settings: Settings) -> AsyncIterator[Desk]:
    """A desk over the workspace's store. Raises `NoBooks`, `StoreAway`, `PolicyMistakes`."""
    catalog = policy_file.load(settings.policy)
    async with contextlib.AsyncExitStack() as stack:
        link = Link(_url(settings, stack))
        stack.push_async_callback(link.aclose)
        token = settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else ""
        known = await away(link.commands(key := home(token)).get(key))
        if known is None:
            raise NoBooks("this store knows no workspace of this SLACK_BOT_TOKEN: start the bot once with both")
        workspace = str(json.loads(known)["home"])
        redis = link.commands(Keys(workspace).due)
        whence = Whence(f"cli@{socket.gethostname()}", lambda: catalog.generation)
        retention, replicas = catalog.workspace.retention, settings.replicas
        store = Store(redis, workspace, _ring(settings), retention, replicas, whence=whence)
        yield Desk(store, lambda: catalog, policy_file.consequence, policy_file.prolongs)


def _url(settings: Settings, stack: contextlib.AsyncExitStack) -> str:
    if settings.redis_url:
        return settings.redis_url.get_secret_value()
    started = embedded.start(settings.home)
    stack.callback(started.stop)  # one that a bot started goes on
    return started.url


def _ring(settings: Settings) -> KeyRing:
    keys = settings.keys
    return KeyRing.parse(keys.get_secret_value()) if keys else KeyRing.load_or_create(settings.home / "keys")


def stuck(request: Request) -> bool:
    """Whether it should be closed, and a try to close it has failed."""
    return request.state is State.REVOKING and any(leg.tries for leg in request.legs)


def row(request: Request) -> str:
    """A line of a list."""
    when = due(request)
    left = "" if when is None else f" in {durations.words(int(max(0, when - time.time())))}"
    who = request.asker.email
    return f"{request.id}  {request.state.value:<9}  {who:<30}  {request.what:<30}  next{left or ': nothing'}"


def details(request: Request) -> str:
    """All that the record says."""
    return json.dumps(request.model_dump(mode="json", exclude_defaults=True), indent=2, ensure_ascii=False)


def trouble(request: Request) -> str:
    """What keeps it open."""
    legs = [leg for leg in request.legs if leg.state is LegState.REVOKING]
    return "; ".join(f"{leg.role.name}: {leg.tries} tries, {leg.error}" for leg in legs)
