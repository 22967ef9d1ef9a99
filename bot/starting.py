"""What a process needs before its parts are built: a fit store, keys, who we are in Slack; it runs nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from redis.asyncio import Redis
from slack_sdk.web.async_client import AsyncWebClient

from bot.keyring import KeyRing
from bot.settings import Settings
from bot.store import embedded
from bot.store.fitness import Finding, Level
from bot.store.keys import home as home_key
from bot.store.wire import away
from handlers import calls

log = logging.getLogger(__name__)

_SITE = re.compile(r"https://[a-z0-9][a-z0-9-]{0,60}(\.enterprise)?\.slack\.com")
_SLACK_PATIENCE = 3.0
"""Seconds that a start waits for Slack: what is due is closed without it."""


class CannotStart(Exception):
    """What keeps the process from starting; the sentence says how to mend it."""


@dataclass(frozen=True)
class Identity:
    """Who we are in Slack. ``home`` is the team id, or the enterprise id of an organisation-wide install."""

    home: str
    team: str
    bot: str
    bot_user: str
    site: str = ""
    """The workspace's own address, ``https://acme.slack.com``; empty where Slack told none that is one."""


def store_url(settings: Settings, stack: contextlib.ExitStack | contextlib.AsyncExitStack) -> str:
    if settings.redis_url:
        return settings.redis_url.get_secret_value()
    started = embedded.start(settings.home)
    stack.callback(started.stop)
    log.info("the embedded store is %s in %s", started.how, settings.home)
    return started.url


def require_fit(found: Sequence[Finding]) -> None:
    """Say loudly what might lose records, and refuse what would."""
    for finding in found:
        if finding.level is Level.WARNING:
            log.warning("Redis: %s; %s", finding.said, finding.mend)
    if unfit := [f"REDIS_URL: {finding.said}; {finding.mend}" for finding in found if finding.level is Level.UNFIT]:
        raise CannotStart("\n".join(unfit))


def ring_of(settings: Settings) -> KeyRing:
    if settings.keys:
        return KeyRing.parse(settings.keys.get_secret_value())
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return KeyRing.load_or_create(settings.home / "keys")
    except OSError as error:
        raise CannotStart(f"JIT_HOME: {settings.home} cannot be used: {error.strerror}") from error


async def identity_of(client: AsyncWebClient, redis: Redis) -> Identity:
    """Who Slack says we are; while Slack is away, who it said we were, so that access is closed on time."""
    key = home_key(client.token or "")
    try:
        answer = await asyncio.wait_for(client.auth_test(), _SLACK_PATIENCE)
    except calls.AWAY as error:
        why = calls.said(error)
        known = await away(redis.get(key))
        if known is None:
            raise CannotStart(f"Slack does not accept SLACK_BOT_TOKEN, or cannot be reached: {why}") from error
        log.error("Slack cannot be asked who we are (%s); going on as the workspace it said last", why)  # noqa: TRY400
        identity = Identity(**json.loads(known))
        return replace(identity, site=_site(identity.site))
    whole = bool(answer.get("is_enterprise_install"))
    identity = Identity(
        home=str(answer["enterprise_id"] if whole else answer["team_id"]),
        team=str(answer["team_id"]),
        bot=str(answer["bot_id"]),
        bot_user=str(answer["user_id"]),
        site=_site(str(answer.get("url") or "")),
    )
    await away(redis.set(key, json.dumps(identity.__dict__)))
    return identity


def _site(url: str) -> str:
    """What Slack calls our own address, without the slash at its end; anything that is not at Slack is none."""
    site = url.removesuffix("/")
    return site if _SITE.fullmatch(site) else ""
