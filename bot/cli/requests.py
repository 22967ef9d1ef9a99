"""What an operator does at the terminal with the store at hand: look at requests, revoke one, close one manually.

It needs the store and its keys, and not Slack: which workspace it is, the bot's last start left in the store.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

from bot import local_account
from bot.access.context import AccessContext
from bot.core import durations
from bot.core.deadlines import due
from bot.core.given_inputs import spelled, values
from bot.core.request import LegState, Request, State
from bot.local_account import OsAccount
from bot.policy import loader
from bot.policy.schema import WorkspaceShape
from bot.settings import Settings, environment
from bot.startup import read_identity
from bot.store.keyring import KeyRing
from bot.store.keys import Keys, home
from bot.store.known_home import known_homes
from bot.store.provenance import Provenance
from bot.store.redis import embedded, health
from bot.store.redis.client import Link
from bot.store.store import Store
from providers.factors import registry as factors


class NoStore(RuntimeError):
    """The store cannot be read from here; the sentence says what is missing."""


def account() -> OsAccount:
    """Who types here, as the kernel says."""
    return local_account.account(environment())


def whoami() -> str:
    """``cli:<user>@<host>``."""
    return account().by


@contextlib.asynccontextmanager
async def context_of(settings: Settings, *, reads: bool = False) -> AsyncIterator[AccessContext]:
    """A context over the workspace's store; who only ``reads`` needs no policy.

    Raises `NoStore`, `StoreAway`, `PolicyMistakes`.
    """
    catalog = None if reads else loader.load(settings.policy)
    async with contextlib.AsyncExitStack() as stack:
        link = Link(_url(settings, stack))
        stack.push_async_callback(link.aclose)
        ring = _ring(settings)
        workspace = await _workspace(settings, link, ring)
        redis = link.commands(Keys(workspace).due)
        provenance = Provenance(f"cli@{socket.gethostname()}", lambda: catalog.policy_hash if catalog else "")
        retention = catalog.workspace.retention if catalog else WorkspaceShape.model_fields["retention"].default
        store = Store(redis, workspace, ring, retention, settings.replicas, provenance=provenance)
        yield AccessContext(
            store,
            lambda: catalog or loader.load(settings.policy),
            loader.consequence,
            loader.can_extend,
            factors=factors.build_all(),
        )


async def _workspace(settings: Settings, link: Link, ring: KeyRing) -> str:
    """The workspace of the token; without one, the only one whose bot keeps its records here under our keys."""
    if settings.slack_bot_token:
        token = settings.slack_bot_token.get_secret_value()
        known = await health.workspace(link.commands(home(token)), token)
        if known is None:
            raise NoStore("this store knows no workspace of this SLACK_BOT_TOKEN: start the bot once with both")
        return known
    if link.address.kind == "cluster":
        raise NoStore("SLACK_BOT_TOKEN is missing: in a cluster it says whose records are meant")
    kept = await known_homes(link)
    found = sorted({who.home for key, value in kept.items() if (who := read_identity(ring, key, value))})
    if not found:
        raise NoStore("no bot with these keys (JIT_KEYS, JIT_HOME) has started on this store: start it once")
    if len(found) > 1:
        named = ", ".join(found)
        raise NoStore(f"this store has several workspaces ({named}): set SLACK_BOT_TOKEN to the token of the one")
    return found[0]


def _url(settings: Settings, stack: contextlib.AsyncExitStack) -> str:
    if settings.redis_url:
        return settings.redis_url.get_secret_value()
    if not settings.keys and not (settings.home / "keys").exists():
        raise NoStore(f"{settings.home} has no keys yet: start the bot once with this JIT_HOME")
    started = embedded.start(settings.home)
    stack.callback(started.stop)  # one that a bot started goes on
    return started.url


def _ring(settings: Settings) -> KeyRing:
    if settings.keys:
        return KeyRing.parse(settings.keys.get_secret_value())
    try:
        return KeyRing.load_or_create(settings.home / "keys")
    except OSError as error:
        raise NoStore(f"{settings.home / 'keys'} cannot be read: {error.strerror}") from error


def stuck(request: Request) -> bool:
    """Whether it should be closed, and a try to close it has failed."""
    return request.state is State.REVOKING and any(leg.tries for leg in request.legs)


def row(request: Request) -> str:
    """A line of a list."""
    when = due(request)
    left = "" if when is None else f" in {durations.words(int(max(0, when - time.time())))}"
    who = request.requester.email
    given = f"  {said}" if (said := spelled(request)) else ""
    by = f"  requested by {request.requested_by.email}" if request.requested_by else ""
    review = f"  {_review(request)}" if request.lacks_review else ""
    said = f"{request.id}  {request.state.value:<9}  {who:<30}  {request.what:<30}  next{left or ': nothing'}"
    return f"{said}{by}{review}{given}"


def _review(request: Request) -> str:
    """What is outstanding of a break-glass access."""
    days = request.break_glass.overdue if request.break_glass else 0
    return f"break-glass, its review is overdue (day {days})" if days else "break-glass, to be reviewed"


def entry(request: Request) -> dict[str, Any]:
    """The same for machines; keys stay, more may come."""
    return {
        "id": request.id,
        "state": request.state.value,
        "requester": request.requester.email,
        "requested_by": request.requested_by.email if request.requested_by else "",
        "what": request.what,
        "inputs": values(request),
        "due": due(request),
        "stuck": stuck(request),
        "lacks_review": request.lacks_review,
        "trouble": trouble(request),
    }


def details(request: Request) -> dict[str, Any]:
    """All that the record says."""
    return request.model_dump(mode="json", exclude_defaults=True)


def trouble(request: Request) -> str:
    """What keeps it open."""
    legs = [leg for leg in request.legs if leg.state is LegState.REVOKING]
    return "; ".join(f"{leg.role.name}: {leg.tries} tries, {leg.error}" for leg in legs)
