"""The audit log and the insights as a table in a direct message: judged at the press, as lines where Slack refuses."""

from __future__ import annotations

import pytest

from bot.playground import Message, View
from bot.playground.faults import How
from handlers.slack.table_messages import REFUSAL, UNKNOWN
from tests.handlers.test_reports import SAID, Watched, slack, town

__all__ = ["slack", "town"]

SENT = "The table is in your direct messages."


def kinds(message: Message) -> list[str]:
    return [block["type"] for block in message.blocks]


async def opened(town: Watched) -> View:
    """Kim's search of the audit log, answered."""
    await town.kim.command("/jit", "audit kind:submitted")
    return await town.kim.sees_view("record", lambda view: "audit_table" in view.buttons())


async def test_a_page_of_the_audit_log_is_sent_as_a_table(town: Watched) -> None:
    id_ = town.id_of(await town.asked())
    await town.kim.click(await opened(town), "audit_table")
    await town.kim.sees_view("record", lambda view: SENT in view.said())
    [message] = [m for m in town.kim.dms if "audit log" in m.text]
    assert "table" in kinds(message)
    assert id_ in message.said()
    assert "submitted" in message.said()


async def test_where_slack_refuses_tables_the_page_comes_as_lines(town: Watched) -> None:
    town.slack.unknown_blocks = frozenset({"table"})
    id_ = town.id_of(await town.asked())
    await town.kim.click(await opened(town), "audit_table")
    await town.kim.sees_view("record", lambda view: SENT in view.said())
    [message] = [m for m in town.kim.dms if "audit log" in m.text]
    assert set(kinds(message)) == {"section", "context"}
    assert f"`{id_}`" in message.said()


@pytest.mark.parametrize(
    ("how", "code", "said"), [("refuse", "channel_not_found", REFUSAL), ("drop_after", "", UNKNOWN)]
)
async def test_what_came_of_it_is_said_where_it_was_pressed(town: Watched, how: How, code: str, said: str) -> None:
    await town.asked()
    view = await opened(town)
    town.slack.faults.add("chat.postMessage", how, 1, code=code)
    await town.kim.click(view, "audit_table")
    await town.kim.sees_view("record", lambda view: said in view.said())


async def test_who_is_no_auditor_any_more_is_sent_nothing(town: Watched) -> None:
    await town.asked()
    view = await opened(town)
    policy = town.app.catalog
    town.app.catalog = policy.model_copy(
        update={"workspace": policy.workspace.model_copy(update={"auditors": ("platform",)})}
    )
    await town.kim.click(view, "audit_table")
    await town.kim.sees_view("note", lambda view: "You cannot do this" in view.said())
    assert [m for m in town.kim.dms if "audit log" in m.text] == []


async def test_the_insights_are_sent_as_a_table(town: Watched) -> None:
    await town.given()
    await town.given()
    await town.looks()
    await town.kim.command("/jit", "insights")
    await town.kim.click(await town.kim.sees_view("insights", lambda view: SAID in view.said()), "insights_table")
    await town.kim.sees_view("insights", lambda view: SENT in view.said())
    [message] = [m for m in town.kim.dms if "insights" in m.text]
    assert "table" in kinds(message)
    assert SAID in message.said()
    await town.mia.command("/jit", "insights")
    assert [m for m in town.mia.dms if "insights" in m.text] == []
