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
from dataclasses import asdict, replace

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot import settings, terminal
from bot.cli.doctor import digest as doctor_digest
from bot.cli.doctor import directories as doctor_directories
from bot.cli.doctor import policy_names as doctor_named
from bot.cli.doctor import ports as doctor_ports
from bot.cli.doctor import sinks as doctor_sinks
from bot.cli.doctor import systems as doctor_systems
from bot.cli.doctor.checks import Check, CheckResult, CheckVerdict, gathered, good, stops_run
from bot.cli.doctor.policy_names import Named
from bot.cli.doctor.slack import WITHOUT, Slack, skipped
from bot.cli.doctor.store import StoreDoctor
from bot.policy import loader
from bot.policy.catalog import Catalog
from bot.policy.problems import PolicyMistakes
from bot.process.parts import ProcessRole
from bot.redaction import Secrets
from bot.settings import Settings, SettingsMistakes

_MARKS = {CheckVerdict.GOOD: ("✓", "green"), CheckVerdict.NOTE: ("!", "yellow"), CheckVerdict.WRONG: ("✗", "red")}
_MARKS[CheckVerdict.UNCHECKED] = _MARKS[CheckVerdict.NOTE]
_MOST_MISTAKES = 20


class CannotExamine(Exception):
    """The environment is such that nothing can be looked at; the sentence says why."""


async def examine(*, as_json: bool, role: ProcessRole = "all") -> int:
    """Look, and print; 0 when all is well, 1 when something is wrong. Raises `CannotExamine`."""
    progress = Progress() if sys.stderr.isatty() and not as_json else None
    found = await findings(settings.environment(), progress, role)
    ill = any(finding.verdict is CheckVerdict.WRONG for finding in found)
    if as_json:
        terminal.json_text(as_document(found))
    elif sys.stdout.isatty():
        for sign, colour, line in table(found):
            terminal.marked(sign, colour, line)
    else:
        terminal.say(*plain(found))
    return int(ill)


async def findings(
    env: Mapping[str, str], progress: Progress | None = None, role: ProcessRole = "all"
) -> list[CheckResult]:
    """All that is found in an environment, in the order in which one would fix it. Raises `CannotExamine`."""
    usable, mistakes = _usable(env), _mistakes(env, role)
    catalog, policy = _policy(usable)
    secrets = Secrets(usable.secrets())
    first = [*mistakes, *policy]
    async with _checks(usable, env, catalog, secrets, role) as checks:
        if progress:
            progress.begin(checks)
        found = await gathered(checks, secrets, progress.done if progress else lambda _: None)
    hidden = [replace(f, found=secrets.hide(f.found), fix=secrets.hide(f.fix)) for f in first]
    return [*hidden, *found]


def _mistakes(env: Mapping[str, str], role: ProcessRole) -> list[CheckResult]:
    """Each setting that is missing or wrong, as `jit run` says it of this role."""
    try:
        settings.load(env, role)
    except SettingsMistakes as error:
        return [stops_run("settings", *_split(mistake)) for mistake in error.mistakes]
    return [good("settings", "each that is needed is set, and can be read")]


def _usable(env: Mapping[str, str]) -> Settings:
    """The settings without those that are wrong, so that all else is looked at. Raises `CannotExamine`."""
    while True:
        try:
            return settings.load(env, "doctor")
        except SettingsMistakes as error:
            fewer = _without(env, error.mistakes)
            if len(fewer) == len(env):
                raise CannotExamine(str(error)) from error
            env = fewer


def _without(env: Mapping[str, str], mistakes: Sequence[str]) -> dict[str, str]:
    """The environment without what the mistakes begin with. Where Slack is unclear, no token is sent anywhere."""
    named = {word for mistake in mistakes for word in re.findall(r"\b[A-Z][A-Z0-9_]+", mistake.partition(":")[0])}
    if "SLACK_API_URL" in named:
        named |= {"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"}
    return {name: value for name, value in env.items() if name not in named and name.removesuffix("_FILE") not in named}


def _split(mistake: str) -> tuple[str, str]:
    """What is wrong, and what to do."""
    said, _, fix = mistake.partition(": ")
    if " " not in said:  # only whose mistake it is
        said, _, fix = mistake.partition("; ")
    return said, fix or "correct it"


def _policy(usable: Settings) -> tuple[Catalog | None, list[CheckResult]]:
    try:
        catalog = loader.load(usable.policy)
    except PolicyMistakes as error:
        again = f"correct it, and look again: jit policy check {usable.policy}"
        told = [
            stops_run("policy", str(replace(mistake, hint="")), mistake.hint or again)
            for mistake in error.mistakes[:_MOST_MISTAKES]
        ]
        more = len(error.mistakes) - len(told)
        rest = (
            [stops_run("policy", f"and {_some(more, 'more mistake')}", f"jit policy check {usable.policy}")]
            if more > 0
            else []
        )
        return None, [*told, *rest]
    counted = f"{_some(len(catalog.systems), 'system')}, {_some(len(catalog.templates), 'template')}"
    return catalog, [good("policy", f"{usable.policy}: {counted}, generation {catalog.policy_hash}")]


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


@contextlib.asynccontextmanager
async def _checks(
    usable: Settings, env: Mapping[str, str], catalog: Catalog | None, secrets: Secrets, role: ProcessRole
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
        slack.remembered = store.remembers
        named: list[Check] = []
        if catalog is None or not token:
            why = WITHOUT if not token else "the policy cannot be read"
            named = [skipped(name, why) for name in doctor_named.NAMES]
        else:
            policy = Named(slack, catalog)
            stack.push_async_callback(policy.stop)
            named = policy.checks()
        # Only a worker has the secrets of systems, directories and sinks.
        works = catalog is not None and role != "web"
        systems = doctor_systems.checks(catalog, env, secrets) if catalog and works else []
        told_by = doctor_directories.checks(catalog, env, secrets, store, works=works) if catalog else []
        sinks = doctor_sinks.checks(catalog, usable, env, secrets) if catalog and works else []
        ports = doctor_ports.checks(usable, role, session)
        told = doctor_digest.checks(catalog) if catalog else []
        yield [*slack.checks(), *named, *store.checks(), *ports, *systems, *told_by, *sinks, *told]


# how it is shown


class Progress:
    """One line at the terminal that says what is still waited for, and is gone in the end."""

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        """Show it where errors go, so that what is found can be kept apart."""
        self._show = show or terminal.status
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
        self._show(textwrap.shorten(line, 78, placeholder=" …") if self._open else "")


def table(found: Sequence[CheckResult]) -> list[tuple[str, str, str]]:
    """For a terminal: a mark and its colour, what was looked at, what is there, and beneath it what to do."""
    column = min(30, max((len(finding.check) for finding in found), default=0))
    width = max(60, shutil.get_terminal_size().columns)
    lines: list[tuple[str, str, str]] = []
    for finding in found:
        mark, colour = _MARKS[finding.verdict]
        said = textwrap.wrap(finding.found, width - column - 6) or [""]
        fix = textwrap.wrap(f"→ {finding.fix}", width - column - 6) if finding.fix else []
        lines.append((mark, colour, f"{finding.check:<{column}}  {said[0]}"))
        lines += [("", "", f"  {'':<{column}}  {line}") for line in [*said[1:], *fix]]
    return [*lines, ("", "", ""), ("", "", summary(found))]


def plain(found: Sequence[CheckResult]) -> list[str]:
    """For a pipe or a log: a line each."""
    lines = [f"{f.verdict.value}: {f.check}: {f.found}{f' -> {f.fix}' if f.fix else ''}" for f in found]
    return [*lines, summary(found)]


def summary(found: Sequence[CheckResult]) -> str:
    """The whole in a line."""
    count = {verdict: sum(finding.verdict is verdict for finding in found) for verdict in CheckVerdict}
    told = [f"{count[CheckVerdict.WRONG]} wrong" if count[CheckVerdict.WRONG] else "Nothing is wrong"]
    told += [f"{count[CheckVerdict.NOTE]} to note"] if count[CheckVerdict.NOTE] else []
    told += [f"{count[CheckVerdict.UNCHECKED]} not checked"] if count[CheckVerdict.UNCHECKED] else []
    stops = " `jit run` does not start like this." if any(finding.stops_run for finding in found) else ""
    return f"{', '.join(told)}, {count[CheckVerdict.GOOD]} good.{stops}"


def as_document(found: Sequence[CheckResult]) -> str:
    """For machines. The keys stay; more may come."""
    well = not any(finding.verdict is CheckVerdict.WRONG for finding in found)
    document = {
        "well": well,
        "starts": not any(finding.stops_run for finding in found),
        "version": importlib.metadata.version("jit-access"),
        "findings": [asdict(finding) for finding in found],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
