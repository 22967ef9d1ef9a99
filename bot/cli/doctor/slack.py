"""What the doctor asks Slack about the app itself: its tokens, its scopes, its connection; it posts nothing.

Few calls at a time, and a limit is waited out.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.cli import manifest
from bot.cli.doctor.checks import Check, CheckResult, CheckVerdict, Once, good, note, unchecked, wrong
from bot.settings import Settings
from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered, error_name

T = TypeVar("T")
WITHOUT = "there is no SLACK_BOT_TOKEN that can be used"
UNREACHABLE = "Slack cannot be reached"
_AT_A_TIME = 3
_APP_OF_TOKEN = re.compile(r"^xapp-\d+-(A[A-Z0-9]+)-")
_OAUTH = "OAuth & Permissions, on the app's page at api.slack.com/apps"
_TOKEN_FIXES = {
    "account_inactive": f"the app was taken out of the workspace: install it again, and copy the new token ({_OAUTH})",
    "token_revoked": f"the app was taken out of the workspace: install it again, and copy the new token ({_OAUTH})",
    "token_expired": "token rotation is on: create the app again from `jit manifest`, which leaves it off",
    "not_allowed_token_type": f"this is another kind of token: copy the Bot User OAuth Token (xoxb-…) from {_OAUTH}",
}
_OTHER_SLACK = "see SLACK_API_URL: what answers there does not have this method of Slack's Web API"
_LOOK = "see that this machine reaches Slack (SLACK_API_URL, a proxy, status.slack.com), and look again"


_NO_METHOD = frozenset({"unknown_method", "method_deprecated", "deprecated_endpoint"})


class SlackUnavailable(Exception):
    """Slack did not tell; ``locked_out`` when the token is why, of which the token's own finding speaks.

    ``flaws``: what Slack says of each thing that it was asked to validate. ``method``: which call it was, if known.
    ``unreachable``: there was no connection, not for the first question either, which the token's own finding says.
    """

    def __init__(
        self,
        code: str,
        *,
        locked_out: bool = False,
        flaws: Sequence[str] = (),
        method: str = "",
        unreachable: bool = False,
    ) -> None:
        """Keep Slack's word."""
        super().__init__(code)
        self.unreachable = unreachable
        self.code, self.locked_out, self.flaws, self.method = code, locked_out, tuple(flaws), method

    @property
    def said(self) -> str:
        """Slack's word, and of which call."""
        return f"{self.method}: {self.code}" if self.method else self.code

    @property
    def fix(self) -> str:
        """What to do where the token is not why."""
        return _OTHER_SLACK if self.code in _NO_METHOD else _LOOK


@dataclass(frozen=True)
class TokenIdentity:
    """Who the token is. ``home`` is the workspace's id as the store has it."""

    home: str
    said: str
    bot: str
    scopes: frozenset[str] | None


class Slack:
    """One workspace, as far as the tokens reach."""

    def __init__(
        self,
        client: AsyncWebClient,
        settings: Settings,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Nothing is asked yet."""
        self.client, self._settings, self._pause = client, settings, pause
        self._few = asyncio.Semaphore(_AT_A_TIME)
        self.identity = Once(self._who)
        self.remembered: Callable[[], Awaitable[bool]] = _nobody_remembers
        """Whether a start goes on without Slack, as the workspace that it said last."""

    def checks(self) -> list[Check]:
        """What there is to look at."""
        if self._settings.slack_bot_token is None:
            token, scopes = (skipped(name, WITHOUT) for name in ("token", "scopes"))
            return [token, Check("connection", self._connection), scopes]
        return [
            Check("token", self._token),
            Check("connection", self._connection, 40.0),
            Check("scopes", self._scopes),
        ]

    # who we are

    async def _who(self) -> TokenIdentity:
        answer = await self._ask(self.client.auth_test)
        headers = {str(name).lower(): value for name, value in answer.headers.items()}
        listed = headers.get("x-oauth-scopes")
        whole = bool(answer.get("is_enterprise_install"))
        home = str(answer["enterprise_id"] if whole else answer["team_id"])
        place = f"{answer.get('team') or home} ({home}{', organisation-wide' if whole else ''})"
        return TokenIdentity(
            home=home,
            said=f"the bot {answer.get('user')} of {place}",
            bot=str(answer.get("bot_id") or ""),
            scopes=None if listed is None else frozenset(s.strip() for s in str(listed).split(",") if s.strip()),
        )

    async def _token(self) -> Sequence[CheckResult]:
        try:
            identity = await self.identity()
        except SlackUnavailable as error:
            fix = _TOKEN_FIXES.get(error.code, f"copy the Bot User OAuth Token (xoxb-…) again, from {_OAUTH}")
            said = f"Slack does not accept SLACK_BOT_TOKEN: {error.code}"
            if not (error.locked_out or error.code in _TOKEN_FIXES):
                said, fix = f"Slack could not be asked who we are: {error.said}", error.fix
            return [CheckResult("token", CheckVerdict.WRONG, said, fix, stops_run=not await self.remembered())]
        if not identity.bot:
            fix = f"copy the Bot User OAuth Token (xoxb-…) from {_OAUTH}"
            return [wrong("token", "SLACK_BOT_TOKEN is a person's, not a bot's", fix)]
        return [good("token", identity.said)]

    async def _scopes(self) -> Sequence[CheckResult]:
        try:
            granted = (await self.identity()).scopes
        except SlackUnavailable as error:
            return [unchecked("scopes", UNREACHABLE if error.unreachable else "Slack did not tell who we are")]
        if granted is None:
            return [unchecked("scopes", "the answer had no x-oauth-scopes, as behind some proxies")]
        wanted = manifest.scopes(manifest.heard())
        lacking, extra = [s for s in wanted if s not in granted], sorted(granted - set(wanted))
        found, fix = (
            [],
            f"put `jit manifest` under App Manifest, or add them under {_OAUTH}; then install the app again",
        )
        if needed := [scope for scope in lacking if scope not in manifest.OPTIONAL]:
            found.append(wrong("scopes", f"not granted: {', '.join(needed)}", fix))
        optional = {scope: manifest.OPTIONAL[scope] for scope in lacking if scope in manifest.OPTIONAL}
        found += [note("scopes", f"not granted: {scope}; {without}", fix) for scope, without in optional.items()]
        if extra:
            said = f"granted and not needed: {', '.join(extra)}"
            found.append(note("scopes", said, "take them away: whoever steals the token could use them"))
        return found or [good("scopes", f"the {len(wanted)} that are needed, and no other")]

    # how Slack reaches us

    async def _connection(self) -> Sequence[CheckResult]:
        token = self._settings.slack_app_token
        if token is None and self._settings.slack_signing_secret is None:
            return [unchecked("connection", "there is no SLACK_APP_TOKEN or SLACK_SIGNING_SECRET that can be used")]
        if token is None:
            why = "Slack comes over HTTP (SLACK_SIGNING_SECRET); whether it reaches us is seen on the app's page alone"
            return [unchecked("connection", why)]
        given = token.get_secret_value()
        try:
            await self.ask(lambda: self.client.apps_connections_open(app_token=given))
        except SlackUnavailable as error:
            return [_no_socket(error)]
        if other := await self._other_app(given):
            said = f"SLACK_APP_TOKEN is of the app {other[0]}, SLACK_BOT_TOKEN of {other[1]}"
            return [wrong("connection", said, "take both from one app's page")]
        return [good("connection", "Socket Mode gives a connection")]

    async def _other_app(self, token: str) -> tuple[str, str] | None:
        """The two apps that the tokens are of, when they differ and both can be told."""
        named = _APP_OF_TOKEN.match(token)
        if named is None or self._settings.slack_bot_token is None:
            return None
        try:
            bot = (await self.identity()).bot
            ours = str((await self.ask(lambda: self.client.bots_info(bot=bot)))["bot"]["app_id"])
        except (SlackUnavailable, KeyError):
            return None
        return None if ours == named[1] else (named[1], ours)

    # asking

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Slack's answer; a limit is waited out, for as long as the check has. Raises `SlackUnavailable`."""
        try:
            return await self._ask(call)
        except SlackUnavailable as error:
            # Where others had a connection, this one's is a finding of its own.
            error.unreachable = error.unreachable and await self._is_unreachable()
            raise

    async def _is_unreachable(self) -> bool:
        try:
            await self.identity()
        except SlackUnavailable as error:
            return error.unreachable
        return False

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        async with self._few:
            while True:
                try:
                    return await answered(call())
                except NotNow as error:
                    if error.locked_out:
                        raise SlackUnavailable(_word(error), locked_out=True) from None
                    await self._pause(error.after)
                except SlackRefused as error:
                    raise SlackUnavailable(error.code, flaws=_flaws(error), method=_method(error)) from None
                except Unanswered as error:
                    nowhere = isinstance(error.__cause__, aiohttp.ClientConnectorError)
                    raise SlackUnavailable(str(error), unreachable=nowhere) from None


def _word(error: NotNow) -> str:
    """Slack's word for what somebody has to fix."""
    return error_name(error.__cause__) if isinstance(error.__cause__, Exception) else str(error)


async def _nobody_remembers() -> bool:
    return False


def _method(error: SlackRefused) -> str:
    """The method that was called; from the answer, since a call is a closure here."""
    url = getattr(getattr(error.__cause__, "response", None), "api_url", "")
    return str(url).rpartition("/")[2]


def _flaws(error: SlackRefused) -> list[str]:
    data = getattr(getattr(error.__cause__, "response", None), "data", None)
    told = data.get("errors") if isinstance(data, dict) else None
    found = [flaw for flaw in told if isinstance(flaw, dict)] if isinstance(told, list) else []
    return [f"{flaw.get('message')} ({flaw.get('pointer')})" for flaw in found]


def skipped(name: str, why: str) -> Check:
    """A check that cannot be made, and says so."""

    async def look() -> Sequence[CheckResult]:
        return [unchecked(name, why)]

    return Check(name, look)


def not_told(name: str, error: SlackUnavailable) -> CheckResult:
    """The finding when Slack did not tell; what another finding speaks of is not said twice."""
    if error.code == "missing_scope":
        return unchecked(name, "a scope is missing")
    if error.locked_out:
        return unchecked(name, "Slack does not accept the token")
    if error.unreachable:
        return unchecked(name, UNREACHABLE)
    return wrong(name, f"Slack did not tell: {error.said}", error.fix)


def _no_socket(error: SlackUnavailable) -> CheckResult:
    if error.unreachable:
        return unchecked("connection", UNREACHABLE)
    fixes = {
        "forbidden_team": "switch Socket Mode on, on the app's page",
        "missing_scope": "make a new app-level token with connections:write, on the app's page, Basic Information",
    }
    if error.locked_out or error.code in {*fixes, "not_allowed_token_type"}:
        fix = fixes.get(error.code, "copy the app-level token (xapp-…) again, from the app's page, Basic Information")
        return wrong("connection", f"Slack gives no connection for SLACK_APP_TOKEN: {error.code}", fix)
    return wrong("connection", f"Slack could not be asked for a connection: {error.said}", error.fix)
