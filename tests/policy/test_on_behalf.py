"""Who may request for somebody else, and that neither of the two ever approves it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.request import Person, Request, Review, State, Verb
from bot.core.verdict import Code, Members
from bot.policy import authorization, on_behalf
from bot.policy.catalog import Catalog, Choice
from bot.policy.permission_diff import shift
from bot.policy.policy_diff import compare
from bot.policy.problems import PolicyMistakes
from tests.handlers.views.drawing import accepted_for_mia
from tests.house import POLICY, catalog, person

FOR_OTHERS = POLICY.replace("may_ask: [everyone]", "may_ask: [everyone]\n        may_ask_for: [platform]").replace(
    "may_ask: [dba]", "may_ask: [dba]\n        may_ask_for: [platform, security]"
)
MIA, DAN, KIM, PAT, SAM = (person("T0LOCAL01", name) for name in ("mia", "dan", "kim", "pat", "sam"))


def roster(**more: Members) -> dict[str, Members]:
    """The groups as they are known."""
    known = {
        "dba": Members(users=frozenset({"UDAN", "UEVE"})),
        "security": Members(identities=frozenset({"sam@example.com", "kim@example.com"})),
        "platform": Members(identities=frozenset({"pat@example.com"})),
    }
    return {**known, **more}


def choice(policy: Catalog, name: str) -> Choice:
    """Something that can be requested."""
    found = policy.find(name)
    assert found is not None
    return found


def codes(
    requested_by: Person, them: Person, what: str = "debug", groups: Any = None, text: str = FOR_OTHERS
) -> list[Code]:
    """Why ``requested_by`` may not request it for ``them``."""
    policy = catalog(text)
    verdict = on_behalf.may_request_for(policy, groups or roster(), requested_by, them, choice(policy, what), 1.0)
    return [reason.code for reason in verdict.reasons]


def test_only_who_is_in_its_group_may_request_it_for_others() -> None:
    assert codes(PAT, MIA) == []
    assert codes(KIM, MIA) == [Code.MAY_NOT_ASK_FOR]
    assert codes(PAT, MIA, text=POLICY) == [Code.MAY_NOT_ASK_FOR]


def test_who_may_not_request_for_others_learns_nothing_of_them() -> None:
    assert codes(MIA, KIM, "vault/admin") == codes(MIA, DAN, "vault/admin") == [Code.MAY_NOT_ASK_FOR]


def test_nobody_gets_for_another_what_that_person_may_not_request_themself() -> None:
    assert codes(PAT, DAN, "vault/admin") == []
    assert codes(PAT, MIA, "vault/admin") == [Code.PERSON_MAY_NOT_ASK]


def test_every_role_has_to_allow_it() -> None:
    text = FOR_OTHERS.replace("may_ask_for: [platform]", "may_ask_for: [security]", 1)
    assert codes(PAT, MIA, "both", text=text) == [Code.MAY_NOT_ASK_FOR]
    assert codes(PAT, MIA, "vault/shared", text=text) == []


def test_what_is_not_told_is_a_no() -> None:
    dark = roster(platform=Members(known=False))
    assert codes(PAT, MIA, groups=dark) == [Code.MAY_NOT_ASK_FOR, Code.UNKNOWN_GROUP]
    gone = roster(platform=Members(identities=frozenset({"pat@example.com"}), nobody=frozenset({"UPAT"})))
    assert codes(PAT, MIA, groups=gone) == [Code.MAY_NOT_ASK_FOR]


def test_a_request_that_only_the_two_could_approve_is_refused() -> None:
    two = roster(dba=Members(users=frozenset({"UMIA", "UPAT"})))
    assert codes(PAT, MIA, groups=two) == [Code.NOBODY_TO_APPROVE]
    assert codes(PAT, MIA, groups=roster(dba=Members(users=frozenset({"UMIA", "UPAT", "UDAN"})))) == []


def _by(request: Request, who: Person, yes: Person) -> Request:
    review = Review(verb=Verb.APPROVE, by=yes, at=1.0, duration=1800)
    return request.model_copy(update={"requested_by": who, "reviews": (review,)})


def test_neither_of_the_two_approves_it_nor_the_same_human_by_another_account() -> None:
    policy, everyone = catalog(FOR_OTHERS), roster(dba=Members(users=frozenset({"UMIA", "UKIM", "UDAN", "UKIM2"})))
    request = accepted_for_mia()
    for who in (MIA, KIM, KIM.model_copy(update={"id": "UKIM2"}), KIM.model_copy(update={"identity": "k@example.com"})):
        assert [r.code for r in authorization.may_review(policy, everyone, request, who, 1.0).reasons] == [
            Code.OWN_REQUEST
        ]
        assert not authorization.approval_progress(policy, everyone, _by(request, KIM, who), 1.0).complete
    assert authorization.may_review(policy, everyone, request, DAN, 1.0).allowed
    assert authorization.approval_progress(policy, everyone, _by(request, KIM, DAN), 1.0).complete


def test_of_a_draft_only_the_two_may_know() -> None:
    policy, groups = catalog(FOR_OTHERS), roster()
    draft = accepted_for_mia().model_copy(update={"state": State.DRAFT, "waits_for": "consent"})
    assert authorization.may_read(policy, groups, draft, MIA).allowed
    assert authorization.may_read(policy, groups, draft, KIM).allowed
    for other in (DAN, PAT):  # an approver and an operator
        assert authorization.may_read(policy, groups, accepted_for_mia(), other).allowed
        assert not authorization.may_read(policy, groups, draft, other).allowed


def test_only_whom_it_is_for_may_accept_it_by_account_and_by_address() -> None:
    request = accepted_for_mia()
    assert on_behalf.may_consent(request, MIA).allowed
    for other in (KIM, DAN, MIA.model_copy(update={"id": "UMIA2"}), MIA.model_copy(update={"identity": "x@y.example"})):
        assert not on_behalf.may_consent(request, other).allowed


def test_a_decision_about_it_depends_on_the_groups_of_who_requested_it_too() -> None:
    policy = catalog(FOR_OTHERS)
    assert authorization.concerned(policy, accepted_for_mia()) == ("dba", "platform")
    own = accepted_for_mia().model_copy(update={"requested_by": None})
    assert authorization.concerned(policy, own) == ("dba",)


# the policy


def test_who_gains_and_who_loses_the_right_is_told() -> None:
    before, after = catalog(), catalog(FOR_OTHERS)
    gained = {f"{right.who}: {right.verb} {right.role}" for right in shift(before, after).gained}
    assert gained == {
        "pat@example.com: request for others vault/admin",
        "pat@example.com: request for others vault/read-only",
        "pat@example.com: request for others vault/shared",
        "sam@example.com: request for others vault/admin",
        "kim@example.com: request for others vault/admin",
    }
    assert shift(after, before).lost == shift(before, after).gained
    changed = {change.name: change.details for change in compare(before, after).changes}
    assert [(d.name, d.was, d.now) for d in changed["vault/shared"]] == [
        ("may request for others", "", "platform (1 person)")
    ]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("[plattform]", "there is no group `plattform`"),
        ("[everyone]", "`everyone` is for `may_ask` alone"),
        ("platform", "write it in brackets: [platform]"),
    ],
)
def test_a_group_that_there_is_not_is_a_mistake(groups: str, said: str) -> None:
    text = POLICY.replace("may_ask: [everyone]", f"may_ask: [everyone]\n        may_ask_for: {groups}", 1)
    with pytest.raises(PolicyMistakes) as raised:
        catalog(text)
    assert said in str(raised.value)
