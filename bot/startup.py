"""What a process needs before its parts are built: a fit store, keys, who we are in Slack; it runs nothing."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slack_sdk.web.async_client import AsyncWebClient

from bot import tasks
from bot.policy.catalog import Catalog
from bot.settings import Settings
from bot.store.keyring import KeyRing
from bot.store.known_home import KnownHome
from bot.store.redis import embedded
from bot.store.redis.requirements import Level, Requirement
from handlers.slack import api

log = logging.getLogger(__name__)

_SITE = re.compile(r"https://[a-z0-9][a-z0-9-]{0,60}(\.enterprise)?\.slack\.com")
_SLACK_PATIENCE = 3.0
"""Seconds that a start waits for Slack: what is due is closed without it."""


_PURPOSE = "identity"
"""What the key ring's subkey for who we are is called."""


class CannotStart(Exception):
    """What keeps the process from starting; the sentence says how to fix it."""


@dataclass(frozen=True)
class Identity:
    """Who we are in Slack. ``home`` is the team id, or the enterprise id of an organisation-wide install."""

    home: str
    team: str
    bot: str
    bot_user: str
    site: str = ""
    """The workspace's own address, ``https://acme.slack.com``; empty where Slack answers none that is one."""


def store_url(settings: Settings, stack: contextlib.ExitStack | contextlib.AsyncExitStack) -> str:
    if settings.redis_url:
        return settings.redis_url.get_secret_value()
    try:
        started = embedded.start(settings.home)
    except OSError as error:
        raise CannotStart(f"JIT_HOME: {settings.home} cannot be used: {error.strerror}") from error
    stack.callback(started.stop)
    log.info("the embedded store is %s in %s", started.how, settings.home)
    return started.url


def require_fit(found: Sequence[Requirement]) -> None:
    """Say loudly what might lose records, and refuse what would."""
    for finding in found:
        if finding.level is Level.WARNING:
            log.warning("Redis: %s; %s", finding.said, finding.fix)
    if unfit := [f"REDIS_URL: {finding.said}; {finding.fix}" for finding in found if finding.level is Level.UNFIT]:
        raise CannotStart("\n".join(unfit))


def ring_of(settings: Settings) -> KeyRing:
    if settings.keys:
        return KeyRing.parse(settings.keys.get_secret_value())
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return KeyRing.load_or_create(settings.home / "keys")
    except OSError as error:
        raise CannotStart(f"JIT_HOME: {settings.home} cannot be used: {error.strerror}") from error


async def identity_of(client: AsyncWebClient, kept: KnownHome, ring: KeyRing, home: Path) -> Identity:
    """Who Slack says we are; while Slack is away, who it said we were, so that access is closed on time.

    That is kept in Redis, for every host, and in JIT_HOME, for when it is not in Redis any more; under our MAC.
    """
    key = kept.key
    try:
        answer = await tasks.within(client.auth_test(), _SLACK_PATIENCE)
    except api.AWAY as error:
        why = api.error_name(error)
        known = await last_identity(kept, ring, home)
        if known is None:
            raise CannotStart(_nameless(api.code(error), why)) from error
        log.error("Slack cannot be asked who we are (%s); going on as the workspace it said last", why)  # noqa: TRY400
        return replace(known, site=_site(known.site))
    whole = bool(answer.get("is_enterprise_install"))
    identity = Identity(
        home=str(answer["enterprise_id"] if whole else answer["team_id"]),
        team=str(answer["team_id"]),
        bot=str(answer["bot_id"]),
        bot_user=str(answer["user_id"]),
        site=_site(str(answer.get("url") or "")),
    )
    value = _signed(ring, key, identity)
    await kept.write(value)
    _keep(home, key, value)
    return identity


def _nameless(code: str, why: str) -> str:
    """Why nobody knows who we are: Slack's word of the token, or none from Slack at all."""
    if code == "unknown_method":
        return "SLACK_API_URL: what answers there has no auth.test, so it is not Slack's Web API"
    if code:
        return f"SLACK_BOT_TOKEN: Slack does not accept it ({code}); `jit doctor` says what to do"
    return f"Slack cannot be reached ({why}): see SLACK_API_URL, a proxy, or status.slack.com"


async def last_identity(kept: KnownHome, ring: KeyRing, home: Path) -> Identity | None:
    """Who we were when Slack was asked last, if that was kept, and by us. Raises `StoreAway`."""
    return read_identity(ring, kept.key, await kept.read()) or read_identity(ring, kept.key, _kept(home, kept.key))


def _signed(ring: KeyRing, key: str, identity: Identity) -> str:
    said = json.dumps(identity.__dict__, sort_keys=True)
    return json.dumps({**identity.__dict__, "mac": ring.mac(_PURPOSE, f"{key}\0{said}".encode())})


def read_identity(ring: KeyRing, key: str, value: bytes | str | None) -> Identity | None:
    """Who we were, if it is we who wrote it."""
    try:
        found = json.loads(value or "")
        identity, mac = Identity(**{name: word for name, word in found.items() if name != "mac"}), str(found.get("mac"))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    said = json.dumps(identity.__dict__, sort_keys=True)
    return identity if ring.verify(_PURPOSE, f"{key}\0{said}".encode(), mac) else None


def _keep(home: Path, key: str, value: str) -> None:
    with contextlib.suppress(OSError):  # Redis has it, and a home that cannot be written is reported elsewhere
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _file(home, key).write_text(value, encoding="utf-8")


def _kept(home: Path, key: str) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        return _file(home, key).read_text(encoding="utf-8")
    return None


def _file(home: Path, key: str) -> Path:
    return home / f"identity-{key.rpartition(':')[2]}"


def require_teams(catalog: Catalog, identity: Identity) -> None:
    """Refuse a policy whose user groups could not be asked for by this install."""
    if wrong := team_mistakes(catalog, identity.home, identity.team):
        raise CannotStart("\n".join(wrong))


def team_mistakes(catalog: Catalog, home: str, team: str) -> list[str]:
    """Each user group of the policy that Slack would not tell of: ``home`` as in `Identity`, or its ``team``."""
    named = {name: group for name, group in catalog.groups.items() if group.slack_usergroup}
    if home.startswith("E"):
        whole = "SLACK_BOT_TOKEN is of an organisation-wide install, which asks for user groups team by team"
        fix = "say `slack_team: T…` beside its `slack_usergroup`"
        return [f"groups.{name}: {whole}; {fix}" for name, group in named.items() if not group.slack_team]
    fix = "leave `slack_team` out, or install the app for the whole organisation"
    return [
        f"groups.{name}: {group.slack_team} is another team than that of SLACK_BOT_TOKEN ({team}); {fix}"
        for name, group in named.items()
        if group.slack_team not in {None, team}
    ]


def _site(url: str) -> str:
    """What Slack calls our own address, without the slash at its end; anything that is not at Slack is none."""
    site = url.removesuffix("/")
    return site if _SITE.fullmatch(site) else ""
