"""Each kind of notification that is written to the outbox has one row: where it goes, and what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.access import audit_files
from bot.core import notifications
from bot.reports.digest import schedule
from bot.store.outbox import Row
from handlers.notify import approvers, owners
from handlers.notify.routing import ROUTES, Route, kind, order

BOT = Path(__file__).parents[3] / "bot"


def _written() -> set[str]:
    """The kinds in the code, and those that are put together there."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in BOT.rglob("*.py"))
    literal = set(re.findall(r'[|"]([a-z_]+):#"', code))
    ways = (r'store\.alarm\("([a-z_]+)"', r'self\.alarm\("([a-z_]+)", id_', r'ApprovalInvalid\("([a-z_]+)"')
    alarms = {name for way in ways for name in re.findall(way, code)}
    audiences = {value for name, value in vars(notifications).items() if name.isupper() and isinstance(value, str)}
    files = {audit_files.FILE, audit_files.PAGE, schedule.DIGEST, schedule.TOLD, schedule.DETAILS, schedule.PICTURE}
    return literal | alarms | {audience.partition(":")[0] for audience in audiences} | files


def test_every_kind_that_is_written_has_a_route() -> None:
    written = _written()
    assert {"card", "thread", "record", "tampered", "rolled_back", "budget", "policy", "found"} <= written
    assert written - set(ROUTES) == set()


def test_every_route_is_of_a_kind_that_is_written() -> None:
    assert set(ROUTES) - _written() == {approvers.APPROVERS, approvers.APPROVER.rstrip(":"), owners.OWNER.rstrip(":")}


@pytest.mark.parametrize("route", ROUTES.values(), ids=list(ROUTES))
def test_a_route_says_in_one_way_what_is_delivered(route: Route) -> None:
    assert sum(map(bool, (route.text, route.deliver, route.render, route.deliver_of_request))) == 1


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        ("card", "card"),
        ("thread:7", "thread"),
        ("card:C0VAULT01", "card"),
        ("thread@C0VAULT01:7", "thread"),
        ("ending", "ending"),
        ("ending@2", "ending"),
        ("question@2", "question"),
        ("approver:U1", "approver"),
    ],
)
def test_the_kind_of_a_row_is_without_its_event_end_or_person(audience: str, expected: str) -> None:
    assert kind(Row("J-7K3Q", audience, 1)) == expected


def test_what_waited_for_a_requester_comes_in_the_order_of_a_requests_life() -> None:
    """Versions do not tell: a later commit asks for an earlier message again, to have it edited."""
    life = ["decided", "granted", "extension:41", "extension:44", "ending@1", "ended"]
    rows = [(Row("J-7K3Q", audience, version), None) for version, audience in enumerate(reversed(life), 1)]
    assert [row.audience for row, _ in sorted(rows, key=order)] == life
