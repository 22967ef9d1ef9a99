"""An auditor asks the record in Slack: what happened, who held what; nobody else may, and each look is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.access.audit_query import AuditPage, CannotSearch, SearchFilters
from bot.audit import verify
from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.export import evidence, export
from bot.audit.sealer import read_head
from bot.playground import Human, LocalSlack, Reply, View
from bot.store.audit_stream import AuditStream
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.servers import RedisServer, until

AUDITED = POLICY.replace("  operators: [platform]\n", "  operators: [platform]\n  auditors: [audit]\n").replace(
    "systems:\n", "  audit: {people: [ada@example.com]}\nsystems:\n", 1
)


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """The bot, with an auditor."""
    slack.add_person("UADA", "Ada", "ada@example.com")
    slack.world.channels[CHANNEL].members.add("UADA")
    mode: Mode = request.param
    async with running(settings_for(slack, redis, mode, tmp_path, AUDITED)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        else:
            await slack.connected()
        yield Town(slack, app)


async def noted(town: Town, kind: str) -> list[dict[str, Any]]:
    """What is on the record, of a kind."""
    entries = await AuditStream(town.app.store).tail(0, 1000)
    return [json.loads(entry.event) for entry in entries if entry.kind == kind]


async def asked(town: Town, line: str, who: str = "ada", *, last: int = 0) -> View:
    """Ask, and wait for the answer."""
    reply: Reply = await getattr(town, who).command("/jit", f"audit {line}".strip(), CHANNEL)
    assert (reply.status, reply.text) == (200, ""), reply.text
    human: Human = getattr(town, who)
    return await human.sees_view("record")


async def test_an_auditor_reads_what_happened_and_it_is_recorded(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    await town.card(id_, "active until")
    view = await asked(town, "<@UMIA|mia> vault last 7 days")
    said = view.said()
    assert all(word in said for word in ("submitted", "approved", "granted", id_, "mia@example.com", "<@UDAN>"))
    assert "The audit log records that you looked." in said
    assert town.slack.messages(CHANNEL)[0].ts == card.ts
    [read] = await noted(town, "read")
    assert (read["by"], read["read"], read["asked"]) == (
        "UADA",
        "search",
        {"person": "UMIA", "system": "vault", "when": "last 7 days"},
    )
    assert read["rows"] == read["last"] - read["first"] + 1
    assert [m for m in town.slack.world.messages if m.to == "UADA"] == []


async def test_who_held_what_at_a_moment_is_told(town: Town) -> None:
    card = await town.asked()
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until")
    view = await asked(town, "at 2099-01-01T00:00Z")
    assert "*mia@example.com* had `vault/read-only`" in view.said()
    assert "still open" in view.said()
    [read] = await noted(town, "read")
    assert (read["read"], read["rows"]) == ("held", 1)
    view = await asked(town, "at 2001-01-01T00:00Z <@UMIA>")
    await town.ada.sees_view("record", lambda v: "No matching events" in v.said())


async def test_pages_are_turned_back_and_forth_without_a_gap(town: Town) -> None:
    for n in range(30):
        await town.app.store.audit_event("refused", json.dumps({"by": "UMIA", "verb": "ask", "about": f"vault/r{n}"}))
    one = await asked(town, "kind:refused")
    assert "vault/r29" in one.said()
    assert "vault/r17" not in one.said()
    await town.ada.click(one, "audit_older")
    two = await town.ada.sees_view("record", lambda v: "vault/r17" in v.said())
    assert "vault/r6" in two.said()
    await town.ada.click(two, "audit_older")
    three = await town.ada.sees_view("record", lambda v: "vault/r0" in v.said())
    assert "audit_older" not in three.buttons()
    await town.ada.click(three, "audit_newer")
    await town.ada.sees_view("record", lambda v: "vault/r17" in v.said())
    reads = await noted(town, "read")
    assert [read["rows"] for read in reads] == [12, 12, 6]


@pytest.mark.parametrize(
    ("who", "line"),
    [
        ("mia", ""),
        ("pat", "yesterday"),
        ("dan", "J-7K3Q"),
        ("mia", "export last week"),
        ("mia", "evidence J-7K3Q"),
        ("mia", "no such word"),
    ],
)
async def test_who_is_no_auditor_is_refused_and_that_is_recorded(town: Town, who: str, line: str) -> None:
    reply = await getattr(town, who).command("/jit", f"audit {line}".strip(), CHANNEL)
    assert "only `audit` can read the audit log" in reply.text
    assert getattr(town, who).view is None
    [refused] = await noted(town, "refused")
    assert (refused["by"], refused["verb"]) == (f"U{who.upper()}", "audit")
    assert await noted(town, "read") == []


async def test_a_page_is_judged_when_it_is_turned(town: Town) -> None:
    for n in range(20):
        await town.app.store.audit_event("refused", f'{{"by":"UMIA","n":{n}}}')
    view = await asked(town, "refused")
    groups = {**town.app.catalog.groups, "audit": town.app.catalog.groups["security"]}
    town.app.catalog = town.app.catalog.model_copy(update={"groups": groups})
    await town.ada.click(view, "audit_older")
    await town.ada.sees_view("note", lambda v: "only `audit` can read the audit log" in v.said())
    assert len(await noted(town, "read")) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("valt", "Did you mean `vault`?"),
        ("vault/read-onl last week", "Did you mean `vault/read-only`"),
        ("grantd", "Did you mean `granted`"),
        ("yesterdy", "Did you mean `yesterday`?"),
        ("vault vault", "You named two systems"),
        ("<!channel> & *bold*", "`/jit help audit`"),
        ("at soonish", "I don't understand"),
        ("2026-13-45", "I don't understand"),
        ("9999-12", "I don't understand"),
        ("last 9999 weeks", "I don't understand"),
        ("export", "Did you mean `export last week`"),
        ("export soonish csv", "Did you mean `last week`"),
        ("export at 2026-03-14T02:10Z", "Did you mean `last week`"),
        ("evidence", "Did you mean `evidence J-7K3Q`"),
        ("evidence nonsense", "There is no request"),
        ("at 0001-01-01T00:00+23:59", "I don't understand"),
        ("system:../../etc", "I don't understand"),
        ("'; drop table jit_events; --", "I don't understand"),
        ("x" * 3_000, "I don't understand"),
    ],
)
async def test_what_is_not_understood_gets_the_nearest_and_reads_nothing(town: Town, line: str, said: str) -> None:
    reply = await town.ada.command("/jit", f"audit {line}", CHANNEL)
    assert said in reply.text
    assert "<!channel>" not in reply.text
    assert town.ada.view is None
    assert await noted(town, "read") == []


@pytest.mark.parametrize(
    "line", ["person:o'brien@example.com", "system:old-db", "role:old-db/admin", "kind:nonsense", "j-zzzz", "cli:x@y"]
)
async def test_what_is_nowhere_is_found_nowhere(town: Town, line: str) -> None:
    await town.app.store.audit_event("found", '{"found":"gone"}')
    view = await asked(town, line)
    assert "No matching events." in view.said()


async def test_hostile_text_in_the_record_is_shown_and_does_nothing(town: Town) -> None:
    evil = "<!channel> <@UDAN> *x* <https://evil.example|click> \u202e `" + "y" * 5_000
    facts = {"by": evil, "verb": "ask", "about": evil, "why": evil}
    for _ in range(12):
        await town.app.store.audit_event("refused", json.dumps(facts))
    view = await asked(town, "refused")
    assert "&lt;!channel&gt;" in view.said()
    assert not any(bad in view.said() for bad in ("<!channel>", "<@UDAN>", "<https:", "\u202e"))


async def test_what_is_not_sealed_yet_says_so_and_is_marked_no_more_once_it_is(town: Town, tmp_path: Path) -> None:
    await town.app.store.audit_event("found", '{"found":"gone"}')
    workspace = town.app.store.workspace
    await asyncio.to_thread(until, lambda: read_head(tmp_path, workspace) is not None, "the event to be sealed")
    assert "not sealed yet_" not in (await asked(town, "found")).said()


async def test_a_process_without_an_archive_says_what_it_looked_at(town: Town) -> None:
    await town.app.store.audit_event("found", '{"found":"gone"}')

    def nowhere() -> Archive:
        return Archive.open("", Path("/nonexistent"))

    town.app.audit_search.archive = nowhere
    view = await asked(town, "found")
    assert "Only the events that are still in Redis were searched: there is no archive at" in view.said()
    assert "*found*" in view.said()


async def test_an_archive_that_is_not_the_workers_is_not_believed(town: Town, tmp_path: Path) -> None:
    await town.app.store.audit_event("found", '{"found":"gone"}')
    workspace = town.app.store.workspace
    await asyncio.to_thread(until, lambda: read_head(tmp_path, workspace) is not None, "the event to be sealed")
    other = tmp_path / "other"
    Archive.open("", other, create=True).close()
    town.app.audit_search.archive = lambda: Archive.open("", other)
    said = (await asked(town, "found")).said()
    assert "the archive here is not the one that the worker seals into" in said
    assert "*found*" in said


async def test_an_archive_that_takes_long_is_given_up_and_nothing_waits_for_it(town: Town) -> None:
    release = threading.Event()

    def slow() -> Archive:
        release.wait(60)
        raise AssertionError

    town.app.audit_search.archive, town.app.audit_search.patience = slow, 0.2
    try:
        reply = await town.ada.command("/jit", "audit yesterday", CHANNEL)
        assert (reply.status, reply.text) == (200, "")
        await town.ada.sees_view("note", lambda v: "and was stopped" in v.said())
        assert await noted(town, "read") == []
        assert "Nothing is open" in (await town.ada.command("/jit", "list", CHANNEL)).text
    finally:
        release.set()


async def content(town: Town, name: str, channel: str = "") -> tuple[str, str]:
    """A file that the auditor was sent, and what stands above it."""
    dm = town.slack.world.dm("UADA").id
    files = town.slack.world.files
    shown = await town.ada.sees_dm(lambda m: any(re.fullmatch(name, files[id_].name) for id_ in m.files), patience=30)
    assert shown.channel == dm
    [file] = [files[id_] for id_ in shown.files]
    assert file.content is not None
    return file.content.decode(), shown.text


@pytest.mark.parametrize("form", ["", "csv", "OCSF"])
async def test_an_export_comes_as_a_file_by_direct_message_and_what_it_holds_is_recorded(town: Town, form: str) -> None:
    await town.asked()
    reply = await town.ada.command("/jit", f"audit export last 7 days {form}".strip(), CHANNEL)
    assert "will arrive in your direct messages" in reply.text
    text, said = await content(town, r"audit-1-\d+(-ocsf)?\.(csv|jsonl)")
    assert "Complete from number 1 to" in said
    lines = text.splitlines()
    if form == "csv":
        assert lines[0].startswith("number,time,kind")
    elif form:
        assert json.loads(lines[0])["metadata"]["version"] == "1.8.0"
    else:
        part, _, items = export.read(iter(lines))
        assert verify.verify(items, [], None, part).flaw is None
    asked_, sent = await noted(town, "read")
    assert (asked_["read"], asked_["asked"]["when"]) == ("export", "last 7 days")
    assert (sent["read"], sent["by"], sent["first"]) == ("sent", "UADA", 1)
    assert sent["rows"] == sent["last"]
    assert [m for m in town.slack.messages(CHANNEL) if m.files] == []


async def test_evidence_comes_as_a_pack_that_verifies_and_a_page(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    reply = await town.ada.command("/jit", f"audit evidence {id_.lower()}", CHANNEL)
    assert f"The evidence of {id_} will arrive" in reply.text
    text, _ = await content(town, rf"evidence-{id_}\.json")
    assert evidence.verify(evidence.read(text)).flaw is None
    page, _ = await content(town, rf"evidence-{id_}\.html")
    assert page.startswith("<!doctype html>")
    view = await asked(town, f"{id_} read")
    await town.ada.sees_view("record", lambda v: "evidence" in v.said())
    assert view.said()


@pytest.mark.parametrize(
    ("line", "said"),
    [("evidence J-ZZZZ", "no sealed event tells of J-ZZZZ"), ("export 2001-01", "nothing happened in that time")],
)
async def test_a_file_that_cannot_be_made_is_said_in_the_direct_message(town: Town, line: str, said: str) -> None:
    await town.app.store.audit_event("found", '{"found":"gone"}')
    await town.ada.command("/jit", f"audit {line}", CHANNEL)
    await town.ada.sees_dm(lambda m: said in m.text)
    assert town.slack.world.files == {}


async def test_a_file_that_would_be_too_large_is_not_made(town: Town) -> None:
    assert town.app.announcer.router.file_deliveries is not None
    town.app.announcer.router.file_deliveries.files.max_bytes = 500
    await town.asked()
    await town.ada.command("/jit", "audit export today csv", CHANNEL)
    await town.ada.sees_dm(lambda m: "would have more than 500 bytes" in m.text and "at a terminal" in m.text)


async def test_without_the_scope_it_is_said_what_to_do(town: Town) -> None:
    town.slack.scopes = tuple(scope for scope in town.slack.scopes if scope != "files:write")
    await town.ada.command("/jit", "audit export today", CHANNEL)
    await town.ada.sees_dm(lambda m: "a file needs the scope files:write" in m.text)


async def test_a_notice_that_somebody_wrote_into_redis_sends_no_file(town: Town) -> None:
    await town.asked()
    store = town.app.store
    facts = {"at": 0, "by": "UEVE", "read": "export", "asked": {"when": "today"}, "format": "csv"}
    await store.audit_event("read", json.dumps(facts), row="UEVE|file:#")
    await store.audit_event("read", json.dumps({**facts, "by": "UADA"}), row="UEVE|file:#")
    async with asyncio.timeout(30):
        while len(await town.app.announcer.outbox.dead()) < 2:  # noqa: ASYNC110  # of another process' making
            await asyncio.sleep(0.02)
    assert town.slack.world.files == {}
    assert town.eve.dms == []


async def test_a_policy_that_was_changed_says_who_gained_and_who_lost(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    settings = settings_for(slack, redis, "socket", tmp_path, AUDITED)
    async with running(settings) as app:
        await asyncio.to_thread(
            until, lambda: _kept(tmp_path, app.store.workspace, app.catalog.policy_hash), "its text"
        )
    changed = AUDITED.replace("sam@example.com, kim@example.com", "sam@example.com, eve@example.com")
    settings.policy.write_text(changed, encoding="utf-8")
    async with running(settings) as app:
        told = await slack.sees("C0AUDIT01", lambda m: "loaded a new policy" in m.text, patience=30)
        assert "`all@" in told.said()
        assert "eve@example.com: approve `vault/admin`" in told.said()
        assert "kim@example.com: approve `vault/admin`" in told.said()
        entries = await AuditStream(app.store).tail(0, 1000)
        [event] = [json.loads(entry.event) for entry in entries if entry.kind == "policy"]
        assert event["now"] == app.catalog.policy_hash
    async with running(settings) as app:
        entries = await AuditStream(app.store).tail(0, 1000)
        assert len([entry for entry in entries if entry.kind == "policy"]) == 1


def _kept(home: Path, workspace: str, generation: str) -> bool:
    try:
        with contextlib.closing(Archive.open("", home)) as archive:
            return archive.policy(workspace, generation) is not None
    except NoArchive:
        return False


async def test_every_event_says_which_process_wrote_it_and_by_which_policy(town: Town) -> None:
    card = await town.asked()
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until")
    await town.kim.click(card, "deny")
    await town.ada.command("/jit", "audit export today", CHANNEL)
    entries = await AuditStream(town.app.store).tail(0, 1000)
    kinds = {entry.kind for entry in entries}
    assert {"submitted", "approved", "grant_attempted", "granted", "read"} <= kinds
    for entry in entries:
        facts = json.loads(entry.event)
        assert facts["via"].startswith("all@"), entry
        assert facts["generation"] == town.app.catalog.policy_hash, entry


async def test_an_auditor_sees_what_others_asked_for_and_that_is_recorded(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    shown = await town.ada.command("/jit", f"show {id_}", CHANNEL)
    assert shown.status == 200
    told = await town.ada.sees_ephemeral(lambda m: id_ in m.said())
    assert told.buttons() == {}
    await town.dan.click(card, "approve")
    await town.card(id_, "active until")
    who = await town.ada.command("/jit", "who vault", CHANNEL)
    assert id_ in who.text
    assert "The audit log records that you looked" in who.text
    assert "There is no request" in (await town.sam.command("/jit", f"show {id_}", CHANNEL)).text
    assert [(read["read"], read["by"]) for read in await noted(town, "read")] == [("show", "UADA"), ("who", "UADA")]
    assert "There is no request" in (await town.ada.command("/jit", f"revoke {id_} x", CHANNEL)).text


async def test_who_is_nobody_here_is_refused_and_that_is_on_the_record(town: Town) -> None:
    for _ in range(2):
        await town.guest.command("/jit", "request debug 30m -- INC-1 x", CHANNEL)
    await town.gone.command("/jit", "list", CHANNEL)
    found = {(refused["by"], refused["verb"], refused["why"]) for refused in await noted(town, "refused")}
    assert found == {
        ("UGUEST", "request", "NotAMember: guest"),
        ("UGONE", "list", "NotAMember: deactivated"),
    }
    assert len(await noted(town, "refused")) == 2


async def test_over_the_limit_is_on_the_record(town: Town) -> None:
    rules = town.app.catalog.workspace
    rules = rules.model_copy(update={"limits": rules.limits.model_copy(update={"open": 1})})
    town.app.catalog = town.app.catalog.model_copy(update={"workspace": rules})
    await town.asked()
    reply = await town.mia.command("/jit", "request vault/shared 30m -- INC-2 is on fire", CHANNEL)
    assert "the maximum" in reply.text
    [refused] = await noted(town, "refused")
    assert (refused["by"], refused["verb"]) == ("UMIA", "request")
    assert refused["why"].startswith("LimitReached")


async def test_only_so_many_questions_wait(town: Town) -> None:
    release = threading.Event()

    def slow() -> Archive:
        release.wait(60)
        return Archive.open("", Path("/nonexistent"))

    town.app.audit_search.archive = slow
    asked_ = [asyncio.create_task(town.app.audit_search.within_limits(SearchFilters())) for _ in range(12)]
    done, _ = await asyncio.wait(asked_, return_when=asyncio.FIRST_COMPLETED)
    release.set()
    answers = await asyncio.gather(*asked_, return_exceptions=True)
    busy = [str(answer) for answer in answers if isinstance(answer, CannotSearch)]
    assert len(busy) == 2
    assert all("Please try again in a minute" in said for said in busy)
    assert len([answer for answer in answers if isinstance(answer, AuditPage)]) == 10
    assert done
