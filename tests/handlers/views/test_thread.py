"""The lines of a request's thread say what happened, also when they are posted after the next thing has."""

from __future__ import annotations

from bot.core.events import EndedEarly, Revoked
from bot.core.lifecycle import advance, begin
from bot.core.request import Ending, State
from handlers.views.thread import line
from tests.handlers.views.cards import approved, asked, granted, needed
from tests.handlers.views.drawing import AT


def test_access_that_was_ended_early_was_not_cancelled_though_it_is_revoked_already() -> None:
    request = begin(asked())
    for event in (approved(), *granted()):
        request = advance(request, event)
    ended = EndedEarly(at=AT + 90, by="UDAN", ending=Ending.REVOKED, reason="INC-9 leaked")
    revoking = advance(request, ended)
    over = advance(revoking, Revoked(at=AT + 95, leg=0, outcome={"presence": "absent"}))
    assert over.state is State.ENDED
    assert line(over, ended, needed(over)) == line(revoking, ended, needed(revoking))
    assert line(over, ended, needed(over)).endswith("ended access early: INC-9 leaked. Revoking it.")
