"""What the doctor asks Slack about the policy: its channels, user groups, people, steps, and the forms made of it.

It judges people as the door does, and posts nothing.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from slack_sdk.errors import SlackObjectFormationError

from bot import books
from bot.core.catalog import Catalog, Step
from bot.core.errors import NotAMember
from bot.doctor.findings import Check, Finding, Once, Verdict, good, note, unchecked, wrong
from bot.doctor.slack import Slack, Unknown, not_told
from handlers.people import member
from handlers.replies import sentence
from handlers.views import modals

Json = dict[str, Any]
NAMES = ("channels", "user groups", "people", "steps", "forms")
MOST_PEOPLE = 100
"""Addresses that are looked up: Slack allows some 50 a minute."""
MOST_FORMS = 10
_LONG = 180.0
"""Seconds for what Slack's limits may make slow."""


class Named:
    """What one policy names in one workspace."""

    def __init__(self, slack: Slack, catalog: Catalog) -> None:
        """Nothing is asked yet."""
        self._slack, self._catalog = slack, catalog
        self._there = Once(self._usergroups)
        self._looked = Once(self._addresses)

    async def stop(self) -> None:
        """Ask no further."""
        await self._there.stop()
        await self._looked.stop()

    def checks(self) -> list[Check]:
        """What there is to look at."""
        looks = (self._channels, self._groups, self._people, self._steps, self._forms)
        return [Check(name, look, _LONG) for name, look in zip(NAMES, looks, strict=True)]

    async def _channels(self) -> Sequence[Finding]:
        uses: dict[str, list[str]] = {self._catalog.workspace.audit_channel: ["the audit"]}
        for system in self._catalog.systems.values():
            uses.setdefault(system.channel, []).append(system.title)
        return await asyncio.gather(*(self._channel(id_, use) for id_, use in uses.items()))

    async def _channel(self, id_: str, uses: Sequence[str]) -> Finding:
        name = f"channel {id_}"
        try:
            info: Json = (await self._slack.ask(lambda: self._slack.client.conversations_info(channel=id_)))["channel"]
        except Unknown as error:
            if error.code == "channel_not_found":
                mend = "correct its id in the policy, or, if it is private, invite the bot there: /invite @jit"
                return wrong(
                    name, f"there is none, or it is private and the bot is not in it (for {', '.join(uses)})", mend
                )
            return not_told(name, error)
        flaws = _channel_flaws(info)
        said = f"#{info.get('name')}, for {', '.join(uses)}"
        if flaws:
            return wrong(name, f"{said}: {' and '.join(flaws)}", "; ".join(flaws.values()))
        return good(name, said)

    async def _usergroups(self) -> dict[str, Json]:
        """Every user group by its id, the disabled ones too."""
        answer = await self._slack.ask(
            lambda: self._slack.client.usergroups_list(include_users=True, include_disabled=True)
        )
        return {str(group["id"]): group for group in answer["usergroups"]}

    async def _groups(self) -> Sequence[Finding]:
        wanted = {n: g.slack_usergroup for n, g in self._catalog.groups.items() if g.slack_usergroup}
        if not wanted:
            return [good("user groups", "the policy names none")]
        try:
            there = await self._there()
        except Unknown as error:
            if error.code in {"plan_upgrade_required", "paid_teams_only"}:
                mend = "list the people by e-mail address in the policy instead"
                return [wrong("user groups", "this workspace's plan has no user groups", mend)]
            return [not_told("user groups", error)]
        return [_usergroup(name, id_, there.get(id_)) for name, id_ in wanted.items()]

    async def _addresses(self) -> dict[str, Json | Unknown]:
        """Who has each address, as far as it is looked up."""
        listed = addresses(self._catalog)[:MOST_PEOPLE]
        return dict(zip(listed, await asyncio.gather(*map(self._address, listed)), strict=True))

    async def _address(self, address: str) -> Json | Unknown:
        try:
            user: Json = (await self._slack.ask(lambda: self._slack.client.users_lookupByEmail(email=address)))["user"]
        except Unknown as error:
            return error
        return user

    async def _people(self) -> Sequence[Finding]:
        listed = addresses(self._catalog)
        if not listed:
            return [good("people", "the policy names nobody by address")]
        try:
            home = (await self._slack.identity()).home
        except Unknown as error:
            return [not_told("people", error)]
        looked = await self._looked()
        flaws = [flaw for address, user in looked.items() if (flaw := _person(address, user, home))]
        right = len(looked) - len(flaws)
        found = [flaw for flaw in flaws if flaw.verdict is not Verdict.UNCHECKED]
        dark = dict.fromkeys(flaw.found for flaw in flaws if flaw.verdict is Verdict.UNCHECKED)
        found += [Finding("people", Verdict.UNCHECKED, why) for why in dark]
        summary = [good("people", f"{right} found, each an active member")] if right else []
        more = len(listed) - len(looked)
        skipped = [unchecked("people", f"{more} more; {MOST_PEOPLE} are looked up at most")] if more else []
        return [*found, *summary, *skipped]

    async def _steps(self) -> Sequence[Finding]:
        """Whether each role's steps can be filled, by people who are there now."""
        needed: dict[tuple[Step, ...], list[str]] = {}
        for name, system in self._catalog.systems.items():
            for role, shape in system.roles.items():
                needed.setdefault(shape.steps, []).append(f"{name}/{role}")
        groups = {group for steps in needed for step in steps for group in step.any_of}
        try:
            members = await self._members(groups)
        except Unknown:
            return [unchecked("steps", "who is in the groups of the policy is not known")]
        found = [flaw for steps, roles in needed.items() if (flaw := _filled(steps, roles, members))]
        return found or [good("steps", "each can be filled, also when one of its people asks or is away")]

    async def _forms(self) -> Sequence[Finding]:
        """Whether Slack takes the form for asking with this policy's own words; those with most durations first."""
        choices = self._catalog.choices()
        most = sorted(choices, key=lambda choice: -len(choice.durations))[:MOST_FORMS]
        found = []
        for chosen in (None, *most):
            try:
                filled = modals.Chosen(books.terms(self._catalog, chosen), {}, 0.0) if chosen else None
                view = modals.ask(choices, filled).to_dict()
                await self._slack.ask(functools.partial(self._slack.client.blocks_validate, view=json.dumps(view)))
            except (Unknown, SlackObjectFormationError) as error:
                found.append(_form(chosen.name if chosen else "anything", error))
        return list(dict.fromkeys(found)) or [good("forms", f"Slack takes what people fill in ({len(most)} tried)")]

    async def _members(self, groups: Collection[str]) -> dict[str, frozenset[str]]:
        """Who is in each group, by Slack user id. Raises `Unknown`."""
        shapes = {name: self._catalog.groups[name] for name in groups}
        home = (await self._slack.identity()).home
        there = await self._there() if any(shape.slack_usergroup for shape in shapes.values()) else {}
        looked = await self._looked()
        found: dict[str, frozenset[str]] = {}
        for name, shape in shapes.items():
            users = [looked.get(address.casefold()) for address in shape.people]
            for user in users:
                if user is None or (isinstance(user, Unknown) and user.code != "users_not_found"):
                    raise Unknown("people")
            group = there.get(shape.slack_usergroup or "") or {}
            listed = () if group.get("date_delete") else group.get("users") or ()
            found[name] = frozenset(
                user["id"] for user in users if isinstance(user, dict) and _is_member(user, home)
            ) | {*listed}
        return found


def addresses(catalog: Catalog) -> list[str]:
    """Each address that the policy names, once."""
    return list(dict.fromkeys(address.casefold() for group in catalog.groups.values() for address in group.people))


def most_filled(steps: Sequence[Step], members: Mapping[str, Collection[str]], without: str = "") -> int:
    """How many places of the steps can be filled at once, nobody filling two (augmenting paths)."""
    places = [
        frozenset[str]().union(*(members[g] for g in s.any_of)) - {without} for s in steps for _ in range(s.count)
    ]
    seats: dict[str, int] = {}

    def seat(place: int, tried: set[str]) -> bool:
        for who in sorted(places[place] - tried):
            tried.add(who)
            if who not in seats or seat(seats[who], tried):
                seats[who] = place
                return True
        return False

    return sum(seat(place, set()) for place in range(len(places)))


def _filled(steps: Sequence[Step], roles: Sequence[str], members: Mapping[str, Collection[str]]) -> Finding | None:
    wanted = sum(step.count for step in steps)
    groups = list(dict.fromkeys(group for step in steps for group in step.any_of))
    name = f"steps of {', '.join(roles)}"
    add = f"put more people into {' or '.join(groups)}"
    filled = most_filled(steps, members)
    if filled < wanted:
        said = f"{wanted} different people have to approve, and at most {filled} can: no request is ever approved"
        return wrong(name, said, add)
    everyone = sorted({who for group in groups for who in members[group]})
    needed = [who for who in everyone if most_filled(steps, members, who) < wanted]
    if not needed:
        return None
    some = "one person" if len(needed) == 1 else f"each of {len(needed)} people"
    return note(name, f"rests on {some}: nobody can approve while they are away, nor ever what they ask for", add)


def _is_member(user: Json, home: str) -> bool:
    return _person("", user, home) is None


def _person(address: str, user: Json | Unknown, home: str) -> Finding | None:
    name = f"person {address}"
    if isinstance(user, Unknown):
        if user.code != "users_not_found":
            return not_told(name, user)
        return wrong(name, "no active account of this workspace has this address", "correct it, or take it out")
    try:
        member(user, home)
    except NotAMember as error:
        return wrong(name, sentence(error), "take the address out of the policy, or name another")
    return None


def _usergroup(name: str, id_: str, group: Json | None) -> Finding:
    check = f"user group {name}"
    if group is None:
        return wrong(check, f"there is no user group {id_}", "correct its id in the policy (S…, in the group's menu)")
    handle, people = f"@{group.get('handle')}", len(group.get("users") or ())
    if group.get("date_delete"):
        return wrong(check, f"{handle} is disabled: nobody is in it", "enable it in Slack, or name another group")
    if not people:
        return wrong(check, f"nobody is in {handle}", "put people into it in Slack")
    counted = f"{people} people" if people > 1 else "1 person"
    return good(check, f"{handle}, {counted}; whoever may edit user groups in Slack says who")


def _form(what: str, error: Unknown | SlackObjectFormationError) -> Finding:
    if isinstance(error, Unknown) and error.code == "unknown_method":
        return unchecked("forms", "this Slack has no blocks.validate")
    if isinstance(error, Unknown) and error.code != "invalid_view":
        return not_told("forms", error)
    told = "; ".join(error.flaws) if isinstance(error, Unknown) else str(error)
    said = f"Slack would refuse the form for {what}: {told or 'it does not say why'}"
    return wrong("forms", said, "shorten what the policy says there, or offer less of it")


def _channel_flaws(info: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a channel, and how to mend each."""
    flaws = {}
    if info.get("is_ext_shared"):
        flaws["it is shared outside, so no request is shown there"] = "name a channel of this workspace alone"
    elif info.get("is_pending_ext_shared"):
        flaws["it is about to be shared outside, so no request is shown there"] = "take the invitation back in Slack"
    if info.get("is_archived"):
        flaws["it is archived"] = "restore it, or name another"
    elif not info.get("is_member", True):
        flaws["the bot is not in it"] = "write /invite @jit there"
    return flaws
