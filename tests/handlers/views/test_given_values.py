"""What was typed for an input reads as that value and as nothing else: no mark-up, no second value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.role_snapshot import GivenInput
from handlers.views.card import consequence
from handlers.views.text import in_brackets, inputs, safe
from tests.handlers.views.drawing import with_inputs


def door(value: str, kind: str = "pattern") -> GivenInput:
    """A value for an input."""
    return GivenInput.model_validate({"name": "door", "title": "Door", "kind": kind, "value": value})


ROOM = door("attic").model_copy(update={"name": "room", "title": "Room"})


@pytest.mark.parametrize("value", ["hall", "hall--annex", "audit_readers", "10.0.0.1/24", "v1.2+b_3", "büro-7"])
def test_a_value_without_marks_is_shown_as_it_is(value: str) -> None:
    assert in_brackets([door(value), ROOM]) == f"(door={value}, room=attic)"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("x, room=hall", "`x, room=hall`"),
        ("x` `y", "`xˋ ˋy`"),
        ("x* :x: *Dan", "`x\u2217 \u2236x: \u2217Dan`"),
        (":a:b:", "`\u2236a\u2236b:`"),
        ("_x_ a_b ~y~", "`\u02cdx\u02cd a_b \u223cy\u223c`"),
        ("orders:", "`orders:`"),
        ("<!here>", "`&lt;!here&gt;`"),
    ],
)
def test_a_value_with_marks_is_code_and_what_would_mark_up_is_replaced(value: str, said: str) -> None:
    assert in_brackets([door(value), ROOM]) == f"(door={said}, room=attic)"


@given(st.text(alphabet="ab:*_~`,= <>&\u05d0", min_size=1, max_size=40))
def test_no_value_ends_its_own_code(value: str) -> None:
    shown = in_brackets([door(value)]).removeprefix("(door=").removesuffix(")")
    if shown.startswith("`"):
        assert shown.endswith("`")
        shown = shown[1:-1]
    assert not set(shown) & set("`*~<>")


def test_the_card_shows_no_approval_that_somebody_typed() -> None:
    request = with_inputs()
    leg = request.legs[0]
    evil = "x* :white_check_mark: *Dan (dan@example.com)* approved"
    given_ = {"inputs": (door(evil), ROOM), "consequence": f"opens the sandbox door {evil}"}
    role = leg.role.model_copy(update=given_)
    changed = request.model_copy(update={"legs": (leg.model_copy(update={"role": role}),)})
    assert ":white_check_mark:" not in consequence(changed)
    assert "*" not in consequence(changed).replace(safe(request.title), "")
    said = inputs(changed)
    assert said == (
        "*Door*: `x\u2217 \u2236white_check_mark: \u2217Dan (dan@example.com)\u2217 approved`\n*Room*: attic"
    )
