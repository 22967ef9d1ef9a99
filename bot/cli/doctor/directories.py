"""What the doctor looks at where groups and freezes come from: each directory, group and calendar, and how old it is.

It asks them itself on a worker's host, and reads the worker's snapshots everywhere; it writes none.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from bot.cli.doctor.checks import Check, CheckResult, good, note, stops_run, unchecked, wrong
from bot.cli.doctor.store import StoreDoctor
from bot.core import durations
from bot.policy.catalog import Catalog
from bot.policy.groups import CalendarShape, DirectoryShape
from bot.process.directories import calendar_of, calendar_secrets
from bot.redaction import Secrets, referred
from bot.store.indexes.directory_snapshots import (
    CALENDARS_COUNT,
    GROUPS_COUNT,
    CalendarSnapshot,
    DirectorySnapshot,
    InactivePeople,
)
from providers.directories import registry
from providers.directories.base import Directory, PeopleDirectory, ProviderError, Refused

_MOST_NAMED = 20
PATIENCE = 60.0
"""Seconds that a directory may take, with all its groups."""
_NEEDED = "the worker does not start without it"
_ACCOUNTS = "see what the account may read: until then, whoever is disabled there is found only by leaving a group"
_REACH = "see that it can be reached from here, and what it says; until then who is in the group is not known"


def checks(
    catalog: Catalog, env: Mapping[str, str], secrets: Secrets, store: StoreDoctor, *, works: bool
) -> list[Check]:
    """One check a directory and one a calendar. ``works``: whether this host has their secrets."""
    looks = [_directory(catalog, name, one, env, secrets, store, works) for name, one in catalog.directories.items()]
    return looks + [
        _calendar(catalog, name, one, env, secrets, store, works) for name, one in catalog.calendars.items()
    ]


def _directory(
    catalog: Catalog,
    name: str,
    shape: DirectoryShape,
    env: Mapping[str, str],
    secrets: Secrets,
    store: StoreDoctor,
    works: bool,
) -> Check:
    title = f"directory {name}"

    async def look() -> Sequence[CheckResult]:
        asked = await _asked(title, catalog, name, shape, env, secrets) if works else []
        snapshots = await store.snapshots(catalog)
        if snapshots is None:
            return [*asked, unchecked(title, "how old the worker's snapshot is: see what is said of the store")]
        asked += read_people(title, snapshots.people.get(name), shape, snapshots.now)
        kept = snapshots.directories.get(name)
        groups = [group for group, one in catalog.groups.items() if one.directory == name]
        return [*asked, *read_last(title, kept, groups, catalog.policy_hash, snapshots.now)]

    return Check(title, look, PATIENCE)


async def _asked(
    title: str, catalog: Catalog, name: str, shape: DirectoryShape, env: Mapping[str, str], secrets: Secrets
) -> list[CheckResult]:
    try:
        secrets.add(referred(shape.config, env))
        built = registry.build(shape.kind, shape.config, env)
    except ProviderError as error:
        return [stops_run(title, str(error), _NEEDED)]
    try:
        health = await built.check()
        groups = [
            await _group(built, group, one.group) for group, one in catalog.groups.items() if one.directory == name
        ]
        people = await _person(title, built, [one.group for one in catalog.groups.values() if one.directory == name])
    except Refused as error:
        return [wrong(title, f"{shape.kind} refuses: {error}", "fix what it says")]
    except ProviderError as error:
        return [wrong(title, f"{shape.kind} does not answer: {error}", _REACH)]
    finally:
        await built.close()
    unused = [] if groups else [note(title, "no group of the policy is of it", "leave it out, or name it in a group")]
    answers = good(title, f"{health.target} answers{f': {health.detail}' if health.detail else ''}")
    return [answers, *groups, *unused, *people]


async def _person(title: str, directory: Directory, groups: Sequence[str]) -> list[CheckResult]:
    """Whether the accounts of people can be read: one of somebody who is in a group is."""
    if not isinstance(directory, PeopleDirectory):
        return []
    now = time.time()
    try:
        told = [await directory.members(group, now) for group in groups[:1]]
        who = min((address for each in told for address in each.people), default="")
        known = await directory.person(who, now) if who else None
    except ProviderError as error:
        return [note(title, f"accounts cannot be read: {error}", _ACCOUNTS)]
    if not who:
        return []
    if known is None:
        return [note(title, "it does not find the account of somebody who is in a group by their address", _ACCOUNTS)]
    return [good(title, "accounts of people can be read")]


async def _group(directory: Directory, name: str, group: str) -> CheckResult:
    title = f"group {name}"
    try:
        told = await directory.members(group, time.time())
    except Refused as error:
        return wrong(title, str(error), "correct `group:` in the policy, or what may be read")
    except ProviderError as error:
        return wrong(title, f"who is in it is not known: {error}", _REACH)
    counted = f"{len(told.people)} {'person' if len(told.people) == 1 else 'people'} now"
    if not told.whole:
        fix = "give each of them an e-mail address there, or see the guide: until then nobody counts as being in it"
        return wrong(title, f"{counted}, and not everybody in it is known", fix)
    if not told.people:
        return note(title, "nobody is in it now", "see the schedule, if somebody should be")
    return good(title, counted)


def read_last(
    title: str, kept: DirectorySnapshot | None, groups: Sequence[str], generation: str, now: float
) -> list[CheckResult]:
    """How old what the worker last read is."""
    if not groups:
        return []
    if (flaw := _unusable(title, kept, generation)) or kept is None:
        return [flaw] if flaw else []
    known = [kept.groups[group].at for group in groups if group in kept.groups]
    age = now - min(known) if known else 0.0
    said = f": {kept.problem}" if kept.problem else ""
    if len(known) < len(groups) or age >= GROUPS_COUNT:
        dark = [group for group in groups if group not in kept.groups or now - kept.groups[group].at >= GROUPS_COUNT]
        fix = "see what it says, and the worker's log: nobody counts as being in these groups"
        return [wrong(title, f"the worker does not know who is in {', '.join(dark)}{said}", fix)]
    return [_aged(title, age, said)]


def read_people(title: str, kept: InactivePeople | None, shape: DirectoryShape, now: float) -> list[CheckResult]:
    """Who is inactive as far as the worker knows, and whether it can tell."""
    if kept is None or kept.source != shape.fingerprint:
        return []
    found = []
    if kept.problem:
        said = f"the worker cannot read all accounts: {kept.problem}"
        found.append(note(title, said, "see what it says: nobody loses access by it"))
    if kept.people:
        ages = [f"{who} ({durations.words(max(1, int(now - one.since)))})" for who, one in sorted(kept.people.items())]
        more = f" and {len(ages) - _MOST_NAMED} more" if len(ages) > _MOST_NAMED else ""
        said = f"disabled or no longer there: {', '.join(ages[:_MOST_NAMED])}{more}"
        found.append(note(title, said, "they can neither request nor approve until the directory says otherwise"))
    return found


def _unusable(title: str, kept: DirectorySnapshot | CalendarSnapshot | None, generation: str) -> CheckResult | None:
    if kept is None:
        return note(title, "no worker has read it yet", "start a worker with this policy: jit run --role worker")
    if kept.generation != generation:
        said = f"what the worker read last is of policy {kept.generation}, and this file is {generation}"
        return note(title, said, "have the worker read the same file: it does within seconds, or restart it")
    return None


def _aged(title: str, age: float, said: str) -> CheckResult:
    told = f"the worker read it {durations.words(max(1, int(age)))} ago"
    return note(title, f"{told}, and not since{said}", "see what it says") if said else good(title, told)


def _calendar(
    catalog: Catalog,
    name: str,
    shape: CalendarShape,
    env: Mapping[str, str],
    secrets: Secrets,
    store: StoreDoctor,
    works: bool,
) -> Check:
    title = f"calendar {name}"

    async def look() -> Sequence[CheckResult]:
        asked = [await _events(title, shape, env, secrets)] if works else []
        snapshots = await store.snapshots(catalog)
        if snapshots is None:
            return [*asked, unchecked(title, "how old the worker's snapshot is: see what is said of the store")]
        kept = snapshots.calendars.get(name)
        return [*asked, *read_calendar(title, kept, catalog.policy_hash, snapshots.now)]

    return Check(title, look, PATIENCE)


async def _events(title: str, shape: CalendarShape, env: Mapping[str, str], secrets: Secrets) -> CheckResult:
    try:
        secrets.add(calendar_secrets(shape, env))
        calendar = calendar_of(shape, env)
    except ProviderError as error:
        return stops_run(title, str(error), _NEEDED)
    now = time.time()
    try:
        events = await calendar.events(now)
    except ProviderError as error:
        return wrong(title, f"it cannot be read: {error}", "fix what it says: until then a freeze is not known")
    finally:
        await calendar.close()
    counted = f"{len(events)} {'event' if len(events) == 1 else 'events'} within 8 days"
    return good(title, f"{counted}; {'frozen now' if any(event.runs(now) for event in events) else 'not frozen now'}")


def read_calendar(title: str, kept: CalendarSnapshot | None, generation: str, now: float) -> list[CheckResult]:
    """How old what the worker last read of a calendar is."""
    if (flaw := _unusable(title, kept, generation)) or kept is None:
        return [flaw] if flaw else []
    said = f": {kept.problem}" if kept.problem else ""
    if now - kept.at >= CALENDARS_COUNT:
        fix = "see what it says, and the worker's log: whether it is frozen is not known"
        return [wrong(title, f"the worker has not read it for an hour{said}", fix)]
    return [_aged(title, now - kept.at, said)]
