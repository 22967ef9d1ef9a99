"""The shapes of the policy file that say who is in a group: people, Slack user groups, directories; and calendars."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bot.policy.field_types import Address, Name, Names, Shape, Team, Usergroup, Zone, written

_CALENDAR = (
    r"^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:\S(?:.*\S)?|https://[^\s/@#]+(?:/[^\s#]*)?"
    r"|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?(?:/[^\s#]*)?)$"
)


def _calendar(value: str) -> str:
    if not re.fullmatch(_CALENDAR, value):
        raise ValueError("write its address (https://…), env:NAME for a variable that has it, or file:PATH")
    return value


MOST_DIRECTORIES = 20


class GroupShape(Shape):
    """People by address, a Slack user group, or a group of a directory."""

    people: Annotated[tuple[Address, ...], Field(strict=False)] = ()
    slack_usergroup: Usergroup | None = None
    slack_team: Team | None = None
    """The team of the user group, where the app is installed for a whole organisation."""
    directory: Name | None = None
    """One of `directories`, which says who is in it."""
    group: Annotated[str, Field(max_length=200)] = ""
    """What the group is called in its directory, such as a schedule's id."""

    may_stand_in: Names = ()
    """Groups whose people may stand in for an approver of this one."""

    @property
    def is_listed(self) -> bool:
        """Whether the policy itself says who is in it."""
        return not (self.slack_usergroup or self.directory)

    @property
    def told_by(self) -> str:
        """What says who is in it, where the policy does not."""
        if self.directory:
            return f"the directory group {self.directory}{f'/{self.group}' if self.group else ''}"
        return f"the user group {self.slack_usergroup}"


class DirectoryShape(Shape):
    """What says who is in groups. ``config`` is the directory's own."""

    kind: str
    config: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Which directory it is: another one, or one that is asked in another way, has another."""
        said = json.dumps([self.kind, self.config], sort_keys=True, default=str)
        return hashlib.sha256(said.encode()).hexdigest()[:16]


class CalendarShape(Shape):
    """A calendar of freezes: while any event of it is on, it is frozen."""

    ical: Annotated[str, Field(max_length=2000), AfterValidator(_calendar), written(_CALENDAR, "env:FREEZE_CALENDAR")]
    """Where it is: `https://…`, `env:NAME` for a variable that has the address, or `file:PATH`."""
    timezone: Zone | None = None
    """Of days, and of times without a zone, where the calendar itself does not say one."""
