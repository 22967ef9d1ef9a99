"""The fields of inputs take whatever was typed, within Slack's limits, and fill in nothing that was not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.views import View

from bot.playground import LocalSlack
from handlers.views import input_fields, modals
from tests.handlers.views.drawing import asking, chosen, with_inputs
from tests.handlers.views.shown import flaws

TYPED = st.dictionaries(
    st.sampled_from(["group", "database", "public_key", "other"]),
    st.text(max_size=300) | st.text("a*<>&_`~\u202e", max_size=300),
)


def shown(view: View) -> dict[str, Any]:
    """What Slack would be sent, which it takes."""
    body: dict[str, Any] = view.to_dict()
    slack = LocalSlack()
    slack.payloads.append(("view", body))
    assert flaws(slack) == []
    return body


@given(TYPED)
def test_a_form_takes_whatever_was_typed(typed: dict[str, str]) -> None:
    for form in (None, chosen("db/reader", asking()), chosen("debug", asking())):
        body = shown(modals.ask(asking().choices(), form, modals.Filled(inputs=typed)))
        for block in body["blocks"]:
            if str(block.get("block_id")).startswith("input:"):
                name = block["block_id"].split(":")[1]
                filled = block["element"].get("initial_value") or ""
                assert typed.get(name, "").startswith(filled)


def test_a_choice_is_selected_only_as_it_was_typed_or_as_the_default() -> None:
    choice = chosen("db/reader", asking()).choice
    selected = {}
    for typed in ("audit_readers", "AUDIT_READERS", "nobody", ""):
        element: Any = input_fields.fields(choice, {"group": typed})[0].element
        selected[typed] = element.initial_option.value if element.initial_option else None
    assert selected == {
        "audit_readers": "audit_readers",
        "AUDIT_READERS": "audit_readers",
        "nobody": None,
        "": "app_readers",
    }


def test_what_was_given_stays_in_the_title_of_a_request() -> None:
    listed = with_inputs()
    assert "*" not in modals.about(listed).to_dict()["text"]["text"].split("(group=")[1].split(")")[0]
