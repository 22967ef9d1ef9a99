"""Every state has a name and an offer wherever people meet it, and each question about a state has one answer."""

from __future__ import annotations

import pytest

from bot.core import lifecycle
from bot.core.request import Request, Review, State, Verb
from handlers.views import status
from handlers.views.message import Needed
from tests.handlers.views.drawing import AT, EVE, opened


def _in(state: State) -> Request:
    review = Review(verb=Verb.DENY, by=EVE, at=AT, duration=0, reason="not tonight")
    return opened().model_copy(update={"state": state, "reviews": (review,), "starts_at": AT, "closed_by": "UEVE"})


def test_every_state_has_a_row() -> None:
    assert set(status.STATUSES) == set(State)


@pytest.mark.parametrize("state", State)
def test_a_row_has_words_for_each_place_and_buttons_only_while_something_can_happen(state: State) -> None:
    request, row = _in(state), status.of(_in(state))
    for words in (row.badge, row.label, row.clause, row.decision, row.verdict, row.lock_screen):
        assert words(request)
    assert all(line for line in row.details(request, Needed((("`dba`", 1),))))
    offered = [
        *(button for buttons in row.card_buttons(request) for button in buttons),
        *row.own_buttons(request, True),
        *row.dm_buttons(request, True),
    ]
    assert not (request.is_over and offered)


@pytest.mark.parametrize("state", State)
def test_a_request_is_over_where_nothing_more_can_happen_but_the_review_of_break_glass(state: State) -> None:
    assert _in(state).is_over is (lifecycle.TRANSITIONS[state].keys() <= {"break_glass_reviewed", "review_overdue"})


@pytest.mark.parametrize("state", State)
def test_a_request_is_in_one_phase_at_a_time(state: State) -> None:
    request = _in(state)
    phases = [request.awaits_decision, request.is_live, request.is_closing, request.is_over]
    assert sum(phases) == (0 if state in {State.DRAFT, State.SCHEDULED} else 1)
    assert request.is_live or not request.is_active
