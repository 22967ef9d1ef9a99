"""The doctor says of each directory, group and calendar what is in it, how old that is, and what to do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.cli.doctor.checks import CheckVerdict
from bot.cli.doctor.directories import read_calendar, read_last, read_people
from bot.policy import loader
from bot.policy.catalog import Catalog
from bot.store.indexes.directory_snapshots import (
    CalendarSnapshot,
    DirectorySnapshot,
    DirectorySnapshots,
    GroupSnapshot,
    InactivePeople,
    InactivePerson,
)
from bot.store.keyring import KeyRing
from bot.store.store import Store
from tests.cli.doctor.examining import KEYS, Env, look, policy
from tests.house import POLICY
from tests.providers import okta
from tests.providers.calendars import calendar, shift
from tests.providers.pagerduty import TOKEN, PagerDutyServer

GOOD, NOTE = CheckVerdict.GOOD, CheckVerdict.NOTE


@pytest.fixture
async def server() -> AsyncIterator[PagerDutyServer]:
    server = PagerDutyServer()
    server.on_call(["sam@example.com", "kim@example.com"])
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def directories(env: Env, tmp_path: Path, server: PagerDutyServer) -> Env:
    """An environment whose policy has all of it."""
    now = time.time()
    (tmp_path / "freeze.ics").write_bytes(calendar([shift(now - 60, now + 60, [])]))
    sections = f"""\
directories:
  pd: {{kind: pagerduty, config: {{token: "env:PD_TOKEN", url: "{server.url}", timeout: 2}}}}
calendars:
  freeze: {{ical: "file:{tmp_path}/freeze.ics"}}
groups:
  on-call: {{directory: pd, group: PSCHED1}}
"""
    text = POLICY.replace("groups:\n", sections, 1).replace("approvers: [dba]", "approvers: [on-call]", 1)
    return {**env, "JIT_POLICY": policy(tmp_path, text), "PD_TOKEN": TOKEN}


def catalog(env: Env) -> Catalog:
    return loader.load(Path(env["JIT_POLICY"]))


def of(store: Store) -> DirectorySnapshots:
    """What the doctor's keys can read."""
    return DirectorySnapshots(Store(store.redis, store.workspace, KeyRing.parse(KEYS)))


async def test_all_is_well(directories: Env, store: Store) -> None:
    policy_, now = catalog(directories), await store.now()
    groups = {"on-call": GroupSnapshot(people=("sam@example.com",), at=now - 90)}
    await of(store).write(DirectorySnapshot(name="pd", generation=policy_.policy_hash, at=now, groups=groups))
    await of(store).write(CalendarSnapshot(name="freeze", generation=policy_.policy_hash, at=now - 5))
    found = await look(directories)
    assert "PagerDuty answers" in found.said("directory pd", GOOD)
    assert "the worker read it 1 min 3" in found.said("directory pd", GOOD)
    assert "the worker read it" in found.said("calendar freeze", GOOD)
    assert "2 people now" in found.said("group on-call", GOOD)
    assert "1 event within 8 days; frozen now" in found.said("calendar freeze", GOOD)
    assert "change by the hour" in found.said("steps", CheckVerdict.UNCHECKED)
    assert not {check for check in found.wrong() if check.startswith(("directory", "group", "calendar"))}


async def test_what_the_worker_read_is_told_with_its_age(store: Store) -> None:
    now = await store.now()
    group = GroupSnapshot(at=now - 90)
    kept = DirectorySnapshot(name="pd", generation="a", at=now, groups={"on-call": group})
    [well] = read_last("t", kept, ["on-call"], "a", now)
    assert (well.verdict, well.found) == (GOOD, "the worker read it 1 min 30 s ago")
    [failing] = read_last("t", kept.model_copy(update={"problem": "it answers 503"}), ["on-call"], "a", now)
    assert (failing.verdict, "and not since: it answers 503" in failing.found) == (NOTE, True)
    [old] = read_last("t", kept, ["on-call"], "a", now + 240)
    assert "does not know who is in on-call" in old.found
    [other] = read_last("t", kept, ["on-call"], "b", now)
    assert "of policy a, and this file is b" in other.found
    [none] = read_last("t", None, ["on-call"], "a", now)
    assert (none.verdict, "jit run --role worker" in none.fix) == (NOTE, True)
    assert read_last("t", None, [], "a", now) == []
    known = CalendarSnapshot(name="freeze", generation="a", at=now - 90)
    assert read_calendar("t", known, "a", now)[0].verdict is GOOD
    assert "for an hour" in read_calendar("t", known, "a", now + 3600)[0].found


async def test_nobody_on_call_is_a_note_and_somebody_without_an_address_is_wrong(
    directories: Env, server: PagerDutyServer
) -> None:
    server.oncalls[0]["user"] = {"id": "PGONE", "type": "user_reference"}
    assert "1 person now, and not everybody in it is known" in (await look(directories)).said("group on-call")
    server.oncalls.clear()
    assert "nobody is in it now" in (await look(directories)).said("group on-call", NOTE)


async def test_what_does_not_work_says_what_to_do_and_shows_no_secret(
    directories: Env, server: PagerDutyServer, tmp_path: Path
) -> None:
    wrong_token = await look(directories, PD_TOKEN="another-token")
    assert "401 Unauthorized: see the token" in wrong_token.said("directory pd")
    assert "another-token" not in str(wrong_token.all)
    server.schedules.clear()
    assert "no schedule and no escalation policy PSCHED1" in (await look(directories)).said("group on-call")
    await server.stop()
    assert "does not answer: it cannot be reached" in (await look(directories)).said("directory pd")
    (tmp_path / "freeze.ics").unlink()
    assert "there is no file" in (await look(directories)).said("calendar freeze")
    without = await look(directories, PD_TOKEN=None)
    assert "PD_TOKEN is not set" in without.said("directory pd")
    assert any(finding.stops_run for finding in without.of("directory pd"))


async def test_a_host_of_web_needs_no_token_and_asks_nothing(directories: Env, server: PagerDutyServer) -> None:
    found = await look(directories, role="web", PD_TOKEN=None)
    assert server.calls == []
    assert not {check for check in found.wrong() if check.startswith(("directory", "group", "calendar"))}


async def test_a_directory_of_people_is_asked_for_one_of_them(env: Env, tmp_path: Path) -> None:
    server = okta.OktaServer()
    await server.start()
    section = f"""\
directories:
  sso: {{kind: okta, config: {{token: "env:OKTA_TOKEN", url: "{server.url}", timeout: 2}}}}
groups:
  people: {{directory: sso, group: {okta.GROUP}}}
"""
    text = POLICY.replace("groups:\n", section, 1).replace("approvers: [dba]", "approvers: [people]", 1)
    where = {**env, "JIT_POLICY": policy(tmp_path, text), "OKTA_TOKEN": okta.TOKEN}
    server.put(["mia@example.com"])
    assert "does not find the account of somebody who is in a group" in (await look(where)).said("directory sso", NOTE)
    server.hire("mia@example.com")
    assert "accounts of people can be read" in (await look(where)).said("directory sso", GOOD)
    server.hire("mia@example.com")
    assert "accounts cannot be read: more than one account" in (await look(where)).said("directory sso", NOTE)
    await server.stop()


def test_who_is_inactive_is_told_with_since_when_and_so_is_why_nobody_can_be(env: Env, tmp_path: Path) -> None:
    section = "directories:\n  sso: {kind: okta, config: {token: 'env:T', url: 'https://x.okta.com'}}\ngroups:\n"
    where = {**env, "JIT_POLICY": policy(tmp_path, POLICY.replace("groups:\n", section, 1))}
    shape = catalog(where).directories["sso"]
    people = {f"p{n:02}@example.com": InactivePerson(since=100.0, at=160.0) for n in range(21)}
    kept = InactivePeople(name="sso", source=shape.fingerprint, at=160.0, people=people, problem="it answers 403")
    [problem, inactive] = read_people("t", kept, shape, 220.0)
    assert "cannot read all accounts: it answers 403" in problem.found
    assert "p00@example.com (2 min), p01@example.com (2 min)" in inactive.found
    assert inactive.found.endswith("p19@example.com (2 min) and 1 more")
    assert read_people("t", kept.model_copy(update={"source": "another"}), shape, 220.0) == []
    assert read_people("t", None, shape, 220.0) == []
