"""The lines of a request's thread say what happened, also when they are posted after the next thing has."""

from __future__ import annotations

from bot.core.events import EndedEarly, Escalated, Revoked
from bot.core.lifecycle import advance, begin
from bot.core.request import Ending, State
from handlers.views.message import EscalatedStep, Needed
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


def test_an_escalation_is_said_where_the_step_is_still_open_and_nowhere_else() -> None:
    request = begin(asked())
    event = Escalated(at=AT + 90, role="vault/read-only", step=1)
    step = EscalatedStep(1, "`dba`", "<!subteam^S0PLATFM1>")
    assert "<!subteam^S0PLATFM1> can approve or deny it, too" in line(
        request, event, Needed(escalated={("vault/read-only", 1): step})
    )
    # On the card of another role, once the step is filled, or where the policy has no such escalation any more.
    for elsewhere in ({}, {("vault/read-only", 2): step}, {("orders/read-only", 1): step}):
        assert line(request, event, Needed(escalated=elsewhere)) == ""
