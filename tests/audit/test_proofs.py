"""What is read out of the audit log says with which second factor somebody confirmed that it is them, and when."""

from __future__ import annotations

import json

from bot.access.audit_query import AuditPage, SearchFilters
from bot.audit import text
from bot.audit.archive import projection
from bot.audit.archive.archive import Archive
from bot.audit.export.evidence import pack, verify
from bot.audit.export.evidence_page import page
from bot.core.audit_chain import AuditEntry, Signer
from bot.core.events import Approved, Event, RevealRequested
from bot.core.lifecycle import fold
from bot.core.proof import Proof
from bot.core.request import Reveal
from handlers.views import audit as views
from tests.audit.stories import entries, keep, life

W = "T000001"
APP, RECOVERY = Proof(factor="totp", at=1e9), Proof(factor="recovery", at=1e9 + 60)


def proved() -> list[Event]:
    """A request that Mia made with her app, and Dan approved with a recovery code."""
    first, approved, *rest = life("J-2222", "mia")
    assert isinstance(approved, Approved)
    review = approved.review.model_copy(update={"proof": RECOVERY})
    return [first.model_copy(update={"proof": APP}), approved.model_copy(update={"review": review}), *rest]


def test_a_line_of_the_log_says_it_of_a_request_and_of_an_approval() -> None:
    told, request = list(entries(proved(), "J-2222", 1)), fold(proved())
    assert text.row(told[0], request).endswith("(confirmed with totp 2001-09-09T01:46:40.000Z)")
    assert text.row(told[1], request).endswith("(confirmed with recovery 2001-09-09T01:47:40.000Z)")
    assert "confirmed" not in text.row(told[2], request)
    shown = AuditPage(SearchFilters(), entries=[(entry, request) for entry in told], sealed=9)
    for said in (str(views.page(shown).to_dict()), str(views.message(shown).blocks)):
        assert "confirmed with an authenticator app" in said
        assert "confirmed with a recovery code" in said


def test_so_does_that_a_password_was_shown() -> None:
    event = RevealRequested(at=1e9, by="UMIA", reveal=Reveal(view="V1", at=1e9, proof=APP))
    entry = AuditEntry(1, 1e9, "J-2222", 7, "reveal_requested", event.model_dump_json())
    assert projection.proof(entry) == APP


def test_evidence_lists_what_was_proved_and_its_page_says_by_whom(archive: Archive, signer: Signer) -> None:
    keep(archive, signer, W, list(entries(proved(), "J-2222", 1)))
    packed = pack(archive, W, "J-2222", signer, 2e9)
    assert verify(packed, trusted=[signer.public]).flaw is None
    assert [event["kind"] for event in packed["proofs"]] == ["submitted", "approved"]
    shown = page(packed)
    assert "<td>Confirmed with</td><td>totp at 2001-09-09T01:46:40.000Z</td>" in shown
    assert "<td>recovery at 2001-09-09T01:47:40.000Z</td>" in shown


def test_what_an_intruder_wrote_in_its_place_is_none() -> None:
    cases: list[object] = ["x", 1, [], {"factor": "totp"}, {"factor": 1, "at": "x"}]
    for found in cases:
        entry = AuditEntry(1, 1e9, "J-2222", 1, "submitted", json.dumps({"proof": found, "review": 1}))
        assert projection.proof(entry) is None
