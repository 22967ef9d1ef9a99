"""A pack of evidence has all that an auditor asks for, proves itself, and shows it when any of it was changed."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from bot.audit.archive.archive import Archive
from bot.audit.export.evidence import NoEvidence, canonical, pack, read, verify
from bot.audit.export.evidence_page import page
from bot.audit.export.export import NotAnExport
from bot.audit.verify import What
from bot.core.audit_chain import PURPOSE, AuditEntry, Head, Signer
from bot.store.keyring import KeyRing
from tests.audit.stories import GENERATION, entries, keep, life

W = "T000001"
HOSTILE = "</script><script>alert(1)</script> & 'ünï'"


@pytest.fixture
def found(archive: Archive, signer: Signer) -> dict[str, Any]:
    """The pack of a request whose events lie under two seals, between those of another."""
    events = life("J-2222", "mia")
    events[0] = events[0].model_copy(update={"reason": HOSTILE})
    one, other = list(entries(events, "J-2222", 1)), list(entries(life("J-3333", "eve"), "J-3333", 1))
    mixed: list[AuditEntry] = [e for pair in zip(one, other, strict=True) for e in pair]
    keep(archive, signer, W, [entry._replace(seq=n) for n, entry in enumerate(mixed, start=1)], most=7)
    archive.keep_policy(W, GENERATION, json.dumps({"jit.yaml": f"version: 1 # {HOSTILE}"}), 1e9)
    return pack(archive, W, "J-2222", signer, 2e9)


def test_it_has_all_that_is_asked_for(found: dict[str, Any]) -> None:
    assert found["request"]["requester"]["email"] == "mia@example.com"
    assert found["policy"] == {"generation": GENERATION, "files": {"jit.yaml": f"version: 1 # {HOSTILE}"}}
    assert [review["by"]["email"] for review in found["reviews"]] == ["dan@example.com"]
    assert found["grants"][0]["receipt"]["ours"] is True
    assert found["read_back"] == [{"leg": 0, "outcome": {"presence": "absent"}}]
    assert [event["seq"] for event in found["events"]] == [1, 3, 5, 7, 9, 11]
    assert [(seal["first"], seal["last"]) for seal in found["seals"]] == [(1, 7), (8, 12)]


def test_it_verifies_by_itself_with_its_file_alone(found: dict[str, Any], signer: Signer) -> None:
    again = read(json.dumps(found, indent=2, ensure_ascii=False))
    assert verify(again).flaw is None
    report = verify(again, [Head.parse(found["head"])], signer.trusted)
    assert (report.flaw, report.events, report.heads, report.trusted) == (None, 6, 1, True)


EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], What, int]] = {
    "an event": (lambda p: p["events"][2].update(at=5.0), What.CHANGED, 5),
    "the shown request": (lambda p: p["request"].update(reason="another"), What.CHANGED, 1),
    "the policy": (lambda p: p["policy"].update(files={"jit.yaml": "version: 2"}), What.CHANGED, 1),
    "the reviews": (lambda p: p["reviews"].clear(), What.CHANGED, 1),
    "an event taken out": (lambda p: p["events"].pop(2), What.REMOVED, 7),
    "a seal taken out": (lambda p: p["seals"].pop(), What.ADDED, 9),
    "a seal": (lambda p: p["seals"][0].update(at=1.0), What.UNSIGNED, 1),
    "all of its events": (lambda p: p["events"].clear(), What.REMOVED, 1),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_was_changed_in_it_is_named(found: dict[str, Any], signer: Signer, name: str) -> None:
    edit, what, seq = EDITS[name]
    changed = copy.deepcopy(found)
    edit(changed)
    flaw = verify(changed, (), signer.trusted).flaw
    assert flaw is not None
    assert (flaw.what, flaw.seq) == (what, seq)


def test_who_signs_another_story_with_the_key_is_found_by_a_head(
    found: dict[str, Any], archive: Archive, signer: Signer
) -> None:
    known = Head.parse(found["head"])
    other = {**known.__dict__, "hash": "0" * 64}
    flaw = verify(found, [Head(**other)], signer.trusted).flaw
    assert flaw is not None
    assert (flaw.what, flaw.seq) == (What.REWRITTEN, 8)


def test_a_strangers_signature_is_told(found: dict[str, Any]) -> None:
    stranger = Signer(KeyRing.generate().subkeys(PURPOSE))
    flaw = verify(found, (), stranger.trusted).flaw
    assert flaw is not None
    assert flaw.what is What.UNSIGNED


def test_what_nobody_sealed_has_no_pack(archive: Archive, signer: Signer) -> None:
    with pytest.raises(NoEvidence, match="J-9999"):
        pack(archive, W, "J-9999", signer, 1.0)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"jit": "jit audit evidence 1"}'])
def test_what_is_no_pack_is_refused(text: str) -> None:
    with pytest.raises(NotAnExport, match="no evidence pack"):
        verify(read(text))


# the page


def test_the_page_loads_nothing_and_runs_only_its_own_script(found: dict[str, Any]) -> None:
    text = page(found)
    assert not re.search(r"(src|href)=|https?://", text)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'" in text
    assert "alert(1)</script>" not in text
    assert text.count("<script") == 3


def test_the_page_carries_the_signed_text_letter_by_letter(found: dict[str, Any]) -> None:
    [body] = re.findall(r'id="body">(.*?)</script>', page(found), re.DOTALL)
    unsigned = {name: value for name, value in found.items() if name != "signed"}
    assert body == canonical(unsigned)
    assert json.loads(body) == unsigned
