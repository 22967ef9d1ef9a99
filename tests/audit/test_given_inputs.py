"""What was given for an input is in all that is read out of the audit log: lists, exports, evidence, the digest."""

from __future__ import annotations

from bot.audit import text
from bot.audit.archive.archive import Archive
from bot.audit.export import ocsf
from bot.audit.export.evidence import pack
from bot.audit.export.evidence_page import page
from bot.cli import requests
from bot.core.audit_chain import Signer
from bot.core.events import Event, Submitted
from bot.core.lifecycle import begin
from bot.core.role_snapshot import GivenInput
from bot.reports.digest import text as digest_text
from handlers.views import digest as digest_view
from tests.audit.stories import entries, keep, life
from tests.reports.digest.days import W, at, kept, made

HOSTILE = "<script>alert(1)</script>"
GIVEN = (
    GivenInput(name="database", title="Database", kind="choice", value="app"),
    GivenInput(name="ticket", title="Ticket", kind="pattern", value=HOSTILE),
)


def story(id_: str = "J-2222", began: float = 1e9, workspace: str = "T000001") -> list[Event]:
    """The life of a request for a role that asked for a database and a ticket."""
    first, *rest = life(id_, "mia", at=began, workspace=workspace)
    assert isinstance(first, Submitted)
    roles = tuple(role.model_copy(update={"inputs": GIVEN}) for role in first.roles)
    return [first.model_copy(update={"roles": roles}), *rest]


def test_a_list_of_events_and_of_requests_says_it() -> None:
    first = story()[0]
    assert isinstance(first, Submitted)
    request, entry = begin(first), next(entries([first], "J-2222", 1))
    assert f"vault/read-only database=app ticket={HOSTILE}" in text.row(entry, request)
    assert requests.row(request).endswith(f"  database=app ticket={HOSTILE}")
    assert requests.entry(request)["inputs"] == {"database": "app", "ticket": HOSTILE}
    assert ocsf.ocsf(entry, request, W)["message"].endswith(f"(database=app ticket={HOSTILE})")


def test_the_page_of_evidence_says_it_and_no_script_of_the_requester_runs(archive: Archive, signer: Signer) -> None:
    keep(archive, signer, W, list(entries(story(), "J-2222", 1)))
    shown = page(pack(archive, W, "J-2222", signer, 2e9))
    assert "<td>Database</td><td>app</td>" in shown
    assert "<td>Ticket</td><td>&lt;script&gt;alert(1)&lt;/script&gt;</td>" in shown


def test_the_digest_says_what_was_given(archive: Archive) -> None:
    open_ = story("J-3333", at(23.5), W)[:4]
    events = [*entries(story(began=at(10), workspace=W), "J-2222", 1), *entries(open_, "J-3333", 7)]
    found = made(kept(archive, events))
    assert [(grant.id, grant.given) for grant in found.live] == [("J-3333", f"database=app ticket={HOSTILE}")]
    assert found.slowest
    assert found.slowest.what == f"Vault (database=app ticket={HOSTILE})"
    assert f"vault/read-only (database=app ticket={HOSTILE})" in digest_text.text(found)
    shown = str(digest_view.announcement(found).blocks) + str(digest_view.details(found).blocks)
    assert "database=app ticket=&lt;script&gt;" in shown
    assert "<script>" not in shown
