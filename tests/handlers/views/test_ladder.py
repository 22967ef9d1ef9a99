"""The ladder of approval steps: one line for each role that has something to show, short however many there are."""

from __future__ import annotations

import pytest

from bot.core.lifecycle import begin
from bot.core.request import Person, Request, RequiredStep, Review, Verb
from bot.core.verdict import Members
from bot.policy import authorization
from bot.policy.catalog import Catalog
from handlers.views import card
from handlers.views.ladder import ladder
from handlers.views.message import Needed
from tests.core.test_lifecycle import role, submitted
from tests.house import POLICY, catalog, person

DAN, EVE, PAT = (person("T1", name) for name in ("dan", "eve", "pat"))
ROSTER = {"dba": Members(users=frozenset({"UDAN", "UEVE", "UPAT"}))}
GROUP = "a-group-with-quite-a-long-name"


def policy(roles: int, steps: int, ordered: bool = True) -> Catalog:
    """A system with so many roles of so many steps."""
    groups = "".join(f"  {GROUP}{n}: {{slack_usergroup: S0DBA000{n}}}\n" for n in range(4))
    each = ", ".join([f"{{any_of: [dba, {', '.join(f'{GROUP}{n}' for n in range(4))}], count: 10}}"] * steps)
    written = "".join(
        f"      r{n}:\n        grants: {{door: r{n}}}\n        max: 1h\n        may_ask: [everyone]\n"
        f"        approval: {{ordered: {'true' if ordered else 'false'}, steps: [{each}]}}\n"
        for n in range(roles)
    )
    text = POLICY.replace("groups:\n", f"groups:\n{groups}").replace("    roles:\n", f"    roles:\n{written}", 1)
    return catalog(text)


def request(roles: int, *reviews: Review, **more: object) -> Request:
    event = submitted().model_copy(update={"roles": tuple(role(f"r{n}") for n in range(roles)), **more})
    return begin(event).model_copy(update={"reviews": reviews})


def yes(who: Person) -> Review:
    return Review(verb=Verb.APPROVE, by=who, at=1.0, duration=900)


def drawn(rules: Catalog, asked: Request) -> tuple[str, ...]:
    progress = authorization.approval_progress(rules, ROSTER, asked, 1.0)
    return ladder(asked, progress, [leg.role.name for leg in asked.legs])


@pytest.mark.parametrize("roles", [1, 4, 10])
@pytest.mark.parametrize("steps", [2, 10])
def test_the_ladder_fits_however_many_roles_and_steps_there_are(roles: int, steps: int) -> None:
    asked = request(roles, yes(DAN))
    lines = drawn(policy(roles, steps), asked)
    assert lines
    assert len("\n".join(lines)) <= 2_200
    shown = card.card(asked, Needed((("`dba`", 1),), ladder=lines))
    assert all(len(block["text"]["text"]) <= 3_000 for block in shown.blocks if "text" in block)
    if "more roles" in lines[-1]:
        assert len(lines) < roles + 1


def test_a_single_step_has_no_ladder() -> None:
    assert drawn(policy(1, 1), request(1)) == ()


def test_several_people_in_one_step_are_named_a_few_of_them() -> None:
    [line] = drawn(policy(1, 2), request(1, yes(DAN), yes(EVE), yes(PAT)))
    assert "Dan and Eve and 1 more approved, waits for 7 more" in line


def test_what_a_rule_requires_is_shown_with_its_reason_and_nothing_typed_marks_it_up() -> None:
    evil = RequiredStep(any_of=("dba",), rule=3, because="<!channel> *frozen*")
    [line] = drawn(policy(1, 1), request(1, required_steps=(evil,)))
    assert "(rule 3: &lt;!channel&gt;" in line
    assert "<!channel>" not in line
