"""What a web process adds: it answers Slack, by HTTP or Socket Mode. It calls no system, and has no secret of one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

from slack_bolt.adapter.asgi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.logger.messages import warning_client_prioritized_and_token_skipped
from slack_sdk.web.async_client import AsyncWebClient

import handlers
from bot import descriptors, http_server
from bot.access.audit_query import AuditSearch
from bot.access.decision_times import DecisionHistory
from bot.http_connections import Bounds
from bot.metrics import harmless
from bot.process.listening import serving, slack_place
from bot.process.parts import Parts
from bot.process.tickets import TicketSystems
from bot.startup import CannotStart, Identity
from handlers.context import Door
from handlers.slack import socket_mode
from handlers.slack.bolt_app import Receiving


async def answer_slack(parts: Parts, stack: contextlib.AsyncExitStack) -> None:
    """Register every handler, and open the way by which Slack calls: a connection of ours, or a port."""
    tickets = TicketSystems(parts.environment)
    tickets.begin(parts.catalog)
    stack.push_async_callback(tickets.close)
    parts.ticket_exists = tickets.exists
    parts.prepares.append(tickets.prepare)
    parts.audit_search = AuditSearch(parts.context, parts.archive)
    stack.callback(parts.audit_search.close)
    door = Door(
        parts.context,
        parts.people,
        parts.announcer,
        parts.home_tabs,
        parts.identity.bot,
        parts.audit_search,
        DecisionHistory(parts.store),
    )
    stack.push_async_callback(door.background.close)
    bolt = _bolt(parts)
    handlers.register(bolt, door)
    if parts.settings.slack_app_token:
        token = parts.settings.slack_app_token.get_secret_value()
        await stack.enter_async_context(socket_mode.connected(bolt, token, parts.client, parts.stopping))
    else:
        await _serve(parts, stack, bolt)


async def _serve(parts: Parts, stack: contextlib.AsyncExitStack, bolt: AsyncApp) -> None:
    secret = parts.settings.slack_signing_secret
    if secret is None:
        raise CannotStart("SLACK_SIGNING_SECRET or SLACK_APP_TOKEN is needed to answer Slack")
    inner = cast("http_server.Asgi", AsyncSlackRequestHandler(bolt, path=http_server.PATH))
    asgi = http_server.guard(inner, secret.get_secret_value(), now=parts.time.now)
    bounds, told = Bounds(descriptors.places()), harmless(partial(parts.metrics.dropped, "slack"))
    server = http_server.serve(asgi, parts.settings.host, parts.settings.port, bounds, told)
    started = await serving(slack_place(parts.settings), server, parts.settings, parts.client.session)
    parts.port = started.port
    stack.push_async_callback(started.stop)


def _bolt(parts: Parts) -> AsyncApp:
    logging.getLogger("slack_bolt.AsyncApp").addFilter(_asks_for_something)
    secret = parts.settings.slack_signing_secret
    return Receiving(
        harmless(parts.metrics.acknowledged),
        # Without a token of its own: each call gets the one of `authorize`.
        client=AsyncWebClient(
            base_url=parts.client.base_url, session=parts.client.session, retry_handlers=[parts.slack_metrics()]
        ),
        signing_secret=secret.get_secret_value() if secret else None,
        authorize=_authorized(parts.identity, parts.client.token),
        process_before_response=True,
        # The guard in front has verified the signature; Socket Mode's connection proves itself.
        request_verification_enabled=False,
        ssl_check_enabled=False,
        ignoring_self_events_enabled=False,
    )


def _asks_for_something(record: logging.LogRecord) -> bool:
    """Whether a line is worth reading: Bolt finds SLACK_BOT_TOKEN in the environment, and says that it ignores it."""
    return record.getMessage() != warning_client_prioritized_and_token_skipped()


def _authorized(identity: Identity, token: str | None) -> Callable[[], Awaitable[AuthorizeResult]]:
    """The one workspace that this process serves; who a payload is from is judged by `People`."""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None,
            team_id=identity.team,
            bot_id=identity.bot,
            bot_user_id=identity.bot_user,
            bot_token=token,
        )

    return authorize
