"""Who is notified of what: nothing is news that nothing asked for, that the requester did themself, or that is past."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.core import notifications
from bot.core.events import Endorsed, Escalated, Event
from bot.core.lifecycle import advance, begin, fold
from bot.core.notifications import (
    CONSENT,
    DECIDED,
    ENDED,
    GRANTED,
    RECEIVED,
    REQUESTED_BY,
    REQUESTED_BY_OUTCOME,
    ending,
    is_news,
    notices,
)
from bot.core.request import Request
from tests.handlers.views.cards import STORIES

DMS = (DECIDED, GRANTED, ending(0), ending(1), ENDED, RECEIVED, CONSENT, REQUESTED_BY, REQUESTED_BY_OUTCOME)


def walked(name: str) -> Iterator[tuple[Request, Event]]:
    """Each event of a story, and the request after it."""
    request: Request | None = None
    for event in STORIES[name]:
        request = advance(request, event) if request else begin(event)  # type: ignore[arg-type]  # the first one
        yield request, event


@pytest.mark.parametrize("name", STORIES)
def test_a_row_that_no_event_asked_for_rings_nobody_whoever_wrote_it(name: str) -> None:
    asked = set[str]()
    for request, event in walked(name):
        asked |= set(notices(request, event))
        assert [audience for audience in DMS if is_news(request, audience) and audience not in asked] == []


@pytest.mark.parametrize("name", STORIES)
def test_what_becomes_news_by_an_event_is_asked_for_by_that_event(name: str) -> None:
    before = set[str]()
    for request, event in walked(name):
        news = {audience for audience in DMS if is_news(request, audience)}
        assert news - before <= set(notices(request, event)), event.kind
        before = news


@pytest.mark.parametrize("name", ["cancelled", "ended-released"])
def test_what_the_requester_ended_themself_is_no_news(name: str) -> None:
    request = fold(STORIES[name])
    assert [audience for audience in DMS if is_news(request, audience)] == []


@pytest.mark.parametrize("name", [name for name, story in STORIES.items() if fold(story).is_over])
def test_once_it_is_over_at_most_its_end_is_news(name: str) -> None:
    request = fold(STORIES[name])
    assert not any(is_news(request, audience) for audience in (GRANTED, ending(0), ending(1), notifications.EXTENSION))
    assert is_news(request, DECIDED) + is_news(request, ENDED) <= 1


def test_an_end_that_was_moved_is_no_news_and_the_new_one_is_once_it_is_near() -> None:
    extended, warned = fold(STORIES["active-extended"]), fold(STORIES["active-extended-warned"])
    assert [is_news(extended, ending(n)) for n in range(2)] == [False, False]
    assert [is_news(warned, ending(n)) for n in range(2)] == [False, True]


def test_a_step_that_opens_is_told_beneath_the_card_of_its_role_and_an_escalation_beneath_each() -> None:
    first, endorsed = STORIES["two-systems-half"]
    assert isinstance(endorsed, Endorsed)
    request = fold([first])
    main, other = "thread:#", "thread@C0ORDERS1:#"
    lines: list[tuple[Event, set[str]]] = [
        (endorsed, {main}),
        (endorsed.model_copy(update={"opened": ("vault/read-only",)}), {main}),
        (endorsed.model_copy(update={"opened": ("orders/read-only",)}), {main, other}),
        (Escalated(at=1.0, role="orders/read-only", step=1), {main, other}),
    ]
    for event, expected in lines:
        assert {audience for audience in notices(request, event) if audience.startswith("thread")} == expected


@pytest.mark.parametrize("name", [name for name in STORIES if name.startswith("for-mia")])
def test_of_a_draft_nobody_learns_but_the_two_whose_request_it_is(name: str) -> None:
    for request, event in walked(name):
        if request.unseen:
            assert set(notices(request, event)) <= {CONSENT, REQUESTED_BY}


@pytest.mark.parametrize("name", [name for name in STORIES if name.startswith("for-mia")])
def test_who_requested_it_is_told_at_most_twice_and_never_of_what_they_did_themself(name: str) -> None:
    rings = list[str]()
    for request, event in walked(name):
        news = [a for a in (REQUESTED_BY, REQUESTED_BY_OUTCOME) if a in notices(request, event) and is_news(request, a)]
        assert not (news and event.by == "UKIM")
        rings += [audience for audience in news if audience not in rings]
    assert len(rings) <= 2
    expected = {"for-mia-draft": 0, "for-mia-cancelled": 0, "for-mia-declined": 1, "for-mia-denied": 2}
    assert len(rings) == expected.get(name, len(rings))
