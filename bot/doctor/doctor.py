"""`jit doctor`: looks at all that the bot stands on, and says what is there and what to do; it changes nothing.

What cannot be looked at, for want of a token or a store, is said and keeps nothing else from being looked at.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
import shutil
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict

import aiohttp
import click
from slack_sdk.web.async_client import AsyncWebClient

from bot import policy_file, settings
from bot.core.catalog import Catalog
from bot.core.mistakes import PolicyMistakes
from bot.doctor import digest as doctor_digest
from bot.doctor import named as doctor_named
from bot.doctor import sinks as doctor_sinks
from bot.doctor import systems as doctor_systems
from bot.doctor.findings import Check, Finding, Verdict, gathered, good, wrong
from bot.doctor.named import Named
from bot.doctor.slack import WITHOUT, Slack, skipped
from bot.doctor.store import StoreDoctor
from bot.hiding import Secrets
from bot.settings import Settings, SettingsMistakes

_MARKS = {Verdict.GOOD: ("✓", "green"), Verdict.NOTE: ("!", "yellow"), Verdict.WRONG: ("✗", "red")}
_MARKS[Verdict.UNCHECKED] = _MARKS[Verdict.NOTE]
_MOST_MISTAKES = 20


class CannotExamine(Exception):
    """The environment is such that nothing can be looked at; the sentence says why."""


async def examine(*, as_json: bool) -> int:
    """Look, and print; 0 when all is well, 1 when something is wrong. Raises `CannotExamine`."""
    progress = Progress() if sys.stderr.isatty() and not as_json else None
    found = await findings(settings.environment(), progress)
    ill = any(finding.verdict is Verdict.WRONG for finding in found)
    if as_json:
        click.echo(as_document(found))
    else:
        click.echo("\n".join(table(found) if sys.stdout.isatty() else plain(found)))
    return int(ill)


async def findings(env: Mapping[str, str], progress: Progress | None = None) -> list[Finding]:
    """All that is found in an environment, in the order in which one would mend it. Raises `CannotExamine`."""
    usable, mistakes = _usable(env)
    catalog, policy = _policy(usable)
    secrets = Secrets(usable.secrets())
    first = [*mistakes, *policy]
    async with _checks(usable, env, catalog, secrets) as checks:
        if progress:
            progress.begin(checks)
        found = await gathered(checks, secrets, progress.done if progress else lambda _: None)
    hidden = [Finding(f.check, f.verdict, secrets.hide(f.found), secrets.hide(f.mend)) for f in first]
    return [*hidden, *found]


def _usable(env: Mapping[str, str]) -> tuple[Settings, list[Finding]]:
    """The settings without those that are wrong, each of which is a finding."""
    found: list[Finding] = []
    while True:
        try:
            usable = settings.load(env, "doctor")
        except SettingsMistakes as error:
            found += [wrong("settings", *_split(mistake)) for mistake in error.mistakes]
            fewer = _without(env, error.mistakes)
            if len(fewer) == len(env):
                raise CannotExamine(str(error)) from error
            env = fewer
        else:
            return usable, found or [good("settings", "each that is set can be read")]


def _without(env: Mapping[str, str], mistakes: Sequence[str]) -> dict[str, str]:
    """The environment without what the mistakes begin with. Where Slack is unclear, no token is sent anywhere."""
    named = {word for mistake in mistakes for word in re.findall(r"\b[A-Z][A-Z0-9_]+", mistake.partition(":")[0])}
    if "SLACK_API_URL" in named:
        named |= {"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"}
    return {name: value for name, value in env.items() if name not in named and name.removesuffix("_FILE") not in named}


def _split(mistake: str) -> tuple[str, str]:
    """What is wrong, and what to do."""
    said, _, mend = mistake.partition(": ")
    if " " not in said:  # only whose mistake it is
        said, _, mend = mistake.partition("; ")
    return said, mend or "correct it"


def _policy(usable: Settings) -> tuple[Catalog | None, list[Finding]]:
    try:
        catalog = policy_file.load(usable.policy)
    except PolicyMistakes as error:
        told = [wrong("policy", str(mistake), "") for mistake in error.mistakes[:_MOST_MISTAKES]]
        more = len(error.mistakes) - len(told)
        rest = (
            [wrong("policy", f"and {_some(more, 'more mistake')}", f"jit policy check {usable.policy}")]
            if more > 0
            else []
        )
        return None, [*told, *rest]
    counted = f"{_some(len(catalog.systems), 'system')}, {_some(len(catalog.templates), 'template')}"
    return catalog, [good("policy", f"{usable.policy}: {counted}, generation {catalog.generation}")]


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


@contextlib.asynccontextmanager
async def _checks(
    usable: Settings, env: Mapping[str, str], catalog: Catalog | None, secrets: Secrets
) -> AsyncIterator[list[Check]]:
    """Every check, over one session with Slack; what they opened is closed at the end."""
    token = usable.slack_bot_token.get_secret_value() if usable.slack_bot_token else None
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        client = AsyncWebClient(token=token, base_url=usable.slack_api_url, session=session, retry_handlers=[])
        slack = Slack(client, usable)
        stack.push_async_callback(slack.identity.stop)
        store = StoreDoctor(usable, env, catalog, slack if token else None)
        stack.push_async_callback(store.stop)
        named: list[Check] = []
        if catalog is None or not token:
            why = WITHOUT if not token else "the policy cannot be read"
            named = [skipped(name, why) for name in doctor_named.NAMES]
        else:
            policy = Named(slack, catalog)
            stack.push_async_callback(policy.stop)
            named = policy.checks()
        systems = doctor_systems.checks(catalog, env, secrets) if catalog else []
        sinks = doctor_sinks.checks(catalog, usable, env, secrets) if catalog else []
        told = doctor_digest.checks(catalog) if catalog else []
        yield [*slack.checks(), *named, *store.checks(), *systems, *sinks, *told]


# how it is shown


class Progress:
    """One line at the terminal that says what is still waited for, and is gone in the end."""

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        """Show it where errors go, so that what is found can be kept apart."""
        self._show = show or (lambda line: click.echo(line, nl=False, err=True))
        self._open: list[str] = []
        self._all = 0

    def begin(self, checks: Sequence[Check]) -> None:
        """All are open."""
        self._open, self._all = [check.name for check in checks], len(checks)
        self._draw()

    def done(self, check: Check) -> None:
        """One less."""
        self._open.remove(check.name)
        self._draw()

    def _draw(self) -> None:
        line = f"{self._all - len(self._open)} of {self._all} looked at; waiting for {', '.join(self._open)}"
        self._show("\r\x1b[K" + (textwrap.shorten(line, 78, placeholder=" …") if self._open else ""))


def table(found: Sequence[Finding]) -> list[str]:
    """For a terminal: a mark, what was looked at, what is there, and beneath it what to do."""
    column = min(30, max((len(finding.check) for finding in found), default=0))
    width = max(60, shutil.get_terminal_size().columns)
    lines: list[str] = []
    for finding in found:
        mark, colour = _MARKS[finding.verdict]
        said = textwrap.wrap(finding.found, width - column - 6) or [""]
        mend = textwrap.wrap(f"→ {finding.mend}", width - column - 6) if finding.mend else []
        lines.append(f"{click.style(mark, fg=colour, bold=True)} {finding.check:<{column}}  {said[0]}")
        lines += [f"  {'':<{column}}  {line}" for line in [*said[1:], *mend]]
    return [*lines, "", summary(found)]


def plain(found: Sequence[Finding]) -> list[str]:
    """For a pipe or a log: a line each."""
    lines = [f"{f.verdict.value}: {f.check}: {f.found}{f' -> {f.mend}' if f.mend else ''}" for f in found]
    return [*lines, summary(found)]


def summary(found: Sequence[Finding]) -> str:
    """The whole in a line."""
    count = {verdict: sum(finding.verdict is verdict for finding in found) for verdict in Verdict}
    told = [f"{count[Verdict.WRONG]} wrong" if count[Verdict.WRONG] else "Nothing is wrong"]
    told += [f"{count[Verdict.NOTE]} to note"] if count[Verdict.NOTE] else []
    told += [f"{count[Verdict.UNCHECKED]} not checked"] if count[Verdict.UNCHECKED] else []
    return f"{', '.join(told)}, {count[Verdict.GOOD]} good."


def as_document(found: Sequence[Finding]) -> str:
    """For machines. The keys stay; more may come."""
    well = not any(finding.verdict is Verdict.WRONG for finding in found)
    document = {
        "well": well,
        "version": importlib.metadata.version("jit-access"),
        "findings": [asdict(finding) for finding in found],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
