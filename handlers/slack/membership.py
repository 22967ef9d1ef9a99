"""A Slack account, as the Web API and events have it → a full, active member, or what it is instead; it asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.core.errors import NotAMember
from bot.core.identity import NotAnIdentity, identity_of
from bot.core.request import Person
from bot.core.typed import bounded, says_something

LOST = frozenset({"deactivated", "guest", "bot"})
"""What an account can become by an event that is believed at once."""


def can_act(user: Mapping[str, Any], home: str) -> bool | None:
    """Whether the account is a full, active member; None where that is not certain.

    No address is no certain no: without its scope, Slack tells nobody's.
    """
    try:
        member(user, home)
    except NotAMember as error:
        return None if error.kind == "no_email" else False
    return True


def member(user: Mapping[str, Any], home: str) -> Person:
    """A full, active member of this very workspace, or an error that says what the account is."""
    if user.get("deleted"):
        raise NotAMember("deactivated")
    if user.get("is_bot") or user.get("id") == "USLACKBOT":
        raise NotAMember("bot")
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        raise NotAMember("guest")
    if user.get("is_stranger") or not belongs(user, home):
        raise NotAMember("external")
    profile = user.get("profile") or {}
    email = str(profile.get("email") or "").strip(" \t\r\n")
    try:
        identity = identity_of(email)
    except NotAnIdentity as error:
        raise NotAMember("odd_email" if error.foreign else "no_email") from None
    return Person(
        workspace=home,
        id=user["id"],
        identity=identity,
        email=email,
        name=_name(profile.get("real_name"), user.get("real_name"), user.get("name")),
        tz=str(user.get("tz") or "UTC"),
    )


def belongs(user: Mapping[str, Any], home: str) -> bool:
    """Whether our team, or our organisation, is among those that the account is in.

    On an Enterprise Grid ``team_id`` is one of several teams, or the organisation, or not there at all.
    """
    grid = user.get("enterprise_user")
    grid = grid if isinstance(grid, Mapping) else {}
    if home.startswith("E") and grid.get("enterprise_id") not in {None, "", home}:
        return False
    teams = [*_listed(grid.get("teams")), *_listed(user.get("teams"))]
    return home in {user.get("team_id"), grid.get("enterprise_id"), *teams}


def updated(user: Mapping[str, Any]) -> float:
    """When the account was last changed, Unix seconds; 0 where Slack does not say."""
    at = user.get("updated")
    return float(at) if isinstance(at, int | float) and not isinstance(at, bool) and at > 0 else 0.0


def _listed(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _name(*told: object) -> str:
    """The first name that says something; none, where all of them are blank."""
    return next((bounded(name, 80) for name in told if isinstance(name, str) and says_something(name)), "")
