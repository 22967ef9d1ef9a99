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

from bot.access import terms
from bot.cli.doctor.checks import Check, CheckResult, CheckVerdict, Once, good, note, stops_run, unchecked, wrong
from bot.cli.doctor.slack import Slack, SlackUnavailable, not_told
from bot.core.errors import NotAMember
from bot.core.identity import identity_of
from bot.policy.catalog import Catalog, Step
from bot.startup import team_mistakes
from handlers.error_messages import sentence
from handlers.slack.directory import NO_SUCH
from handlers.slack.membership import can_act, member
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
        self._active = Once(self._listed)

    async def stop(self) -> None:
        """Ask no further."""
        await self._there.stop()
        await self._looked.stop()
        await self._active.stop()

    def checks(self) -> list[Check]:
        """What there is to look at."""
        looks = (self._channels, self._groups, self._people, self._steps, self._forms)
        return [Check(name, look, _LONG) for name, look in zip(NAMES, looks, strict=True)]

    async def _channels(self) -> Sequence[CheckResult]:
        uses: dict[str, list[str]] = {self._catalog.workspace.audit_channel: ["the audit"]}
        for system in self._catalog.systems.values():
            uses.setdefault(system.channel, []).append(system.title)
        return await asyncio.gather(*(self._channel(id_, use) for id_, use in uses.items()))

    async def _channel(self, id_: str, uses: Sequence[str]) -> CheckResult:
        name = f"channel {id_}"
        try:
            info: Json = (await self._slack.ask(lambda: self._slack.client.conversations_info(channel=id_)))["channel"]
        except SlackUnavailable as error:
            if error.code == "channel_not_found":
                fix = "correct its id in the policy, or, if it is private, invite the bot there: /invite @jit"
                return wrong(
                    name, f"there is none, or it is private and the bot is not in it (for {', '.join(uses)})", fix
                )
            return not_told(name, error)
        flaws = _channel_flaws(info)
        said = f"#{info.get('name')}, for {', '.join(uses)}"
        if flaws:
            return wrong(name, f"{said}: {' and '.join(flaws)}", "; ".join(flaws.values()))
        return good(name, said)

    async def _usergroups(self) -> dict[str, Json]:
        """Every user group by its id, the disabled ones too."""
        found: dict[str, Json] = {}
        shapes = [shape for shape in self._catalog.groups.values() if shape.slack_usergroup]
        # An organisation-wide install is told of each team's by itself.
        for team in sorted({shape.slack_team or "" for shape in shapes}):
            ask = functools.partial(self._slack.client.usergroups_list, include_users=True, include_disabled=True)
            answer = await self._slack.ask(functools.partial(ask, team_id=team or None))
            found |= {str(group["id"]): group for group in answer["usergroups"]}
        return found

    async def _groups(self) -> Sequence[CheckResult]:
        wanted = {n: g.slack_usergroup for n, g in self._catalog.groups.items() if g.slack_usergroup}
        if not wanted:
            return [good("user groups", "the policy names none")]
        try:
            home = (await self._slack.identity()).home
            if mistakes := team_mistakes(self._catalog, home, home):
                return [stops_run("user groups", *mistake.rsplit("; ", 1)) for mistake in mistakes]
            there = await self._there()
        except SlackUnavailable as error:
            if error.code in {"plan_upgrade_required", "paid_teams_only"}:
                fix = "list the people by e-mail address in the policy instead"
                return [wrong("user groups", "this workspace's plan has no user groups", fix)]
            return [not_told("user groups", error)]
        active = await self._active()
        return [_usergroup(name, id_, there.get(id_), active) for name, id_ in wanted.items()]

    async def _listed(self) -> dict[str, bool]:
        """Whether each account in the policy's user groups can act, as far as they are looked up and Slack tells."""
        there, home = await self._there(), (await self._slack.identity()).home
        wanted = [there.get(g.slack_usergroup) for g in self._catalog.groups.values() if g.slack_usergroup]
        groups = [group for group in wanted if group and not group.get("date_delete")]
        users = list(dict.fromkeys(str(user) for group in groups for user in group.get("users") or ()))[:MOST_PEOPLE]
        found = await asyncio.gather(*(self._can_act(user, home) for user in users))
        return {user: can for user, can in zip(users, found, strict=True) if can is not None}

    async def _can_act(self, user: str, home: str) -> bool | None:
        try:
            account: Json = (await self._slack.ask(lambda: self._slack.client.users_info(user=user)))["user"]
        except SlackUnavailable as error:
            return False if error.code in NO_SUCH else None
        return can_act(account, home)

    async def _addresses(self) -> dict[str, Json | SlackUnavailable]:
        """Who has each address, as far as it is looked up."""
        listed = addresses(self._catalog)[:MOST_PEOPLE]
        return dict(zip(listed, await asyncio.gather(*map(self._address, listed)), strict=True))

    async def _address(self, address: str) -> Json | SlackUnavailable:
        try:
            user: Json = (await self._slack.ask(lambda: self._slack.client.users_lookupByEmail(email=address)))["user"]
        except SlackUnavailable as error:
            return error
        return user

    async def _people(self) -> Sequence[CheckResult]:
        listed = addresses(self._catalog)
        if not listed:
            return [good("people", "the policy names nobody by address")]
        try:
            home = (await self._slack.identity()).home
        except SlackUnavailable as error:
            return [not_told("people", error)]
        looked = await self._looked()
        flaws = [flaw for address, user in looked.items() if (flaw := _person(address, user, home))]
        right = len(looked) - len(flaws)
        found = [flaw for flaw in flaws if flaw.verdict is not CheckVerdict.UNCHECKED]
        dark = dict.fromkeys(flaw.found for flaw in flaws if flaw.verdict is CheckVerdict.UNCHECKED)
        found += [CheckResult("people", CheckVerdict.UNCHECKED, why) for why in dark]
        summary = [good("people", f"{right} found, each an active member")] if right else []
        more = len(listed) - len(looked)
        skipped = [unchecked("people", f"{more} more; {MOST_PEOPLE} are looked up at most")] if more else []
        return [*found, *summary, *skipped]

    async def _steps(self) -> Sequence[CheckResult]:
        """Whether each role's steps can be filled, by people who are there now."""
        needed: dict[tuple[Step, ...], list[str]] = {}
        for name, system in self._catalog.systems.items():
            for role, shape in system.roles.items():
                needed.setdefault(shape.steps, []).append(f"{name}/{role}")
        listed = {name for name, group in self._catalog.groups.items() if not group.directory}
        dark = [steps for steps in needed if not all(listed.issuperset(step.any_of) for step in steps)]
        roles = [role for steps in dark for role in needed.pop(steps)]
        why = "groups of directories change by the hour; see how many people each of them has now"
        unknown = [unchecked(f"steps of {', '.join(roles)}", why)] if roles else []
        groups = {group for steps in needed for step in steps for group in step.any_of}
        try:
            members = await self._members(groups)
        except SlackUnavailable:
            return [unchecked("steps", "who is in the groups of the policy is not known")]
        found = [flaw for steps, roles in needed.items() if (flaw := _filled(steps, roles, members))]
        well = [good("steps", "each can be filled, also when one of its people asks or is away")] if needed else []
        return [*(found or well), *unknown]

    async def _forms(self) -> Sequence[CheckResult]:
        """Whether Slack takes the form for asking with this policy's own words; those with most durations first."""
        choices = self._catalog.choices()
        most = sorted(choices, key=lambda choice: -len(choice.durations))[:MOST_FORMS]
        found = []
        for chosen in (None, *most):
            try:
                filled = modals.Chosen(terms.terms(self._catalog, chosen), {}, 0.0) if chosen else None
                view = modals.ask(choices, filled).to_dict()
                await self._slack.ask(functools.partial(self._slack.client.blocks_validate, view=json.dumps(view)))
            except (SlackUnavailable, SlackObjectFormationError) as error:
                found.append(_form(chosen.name if chosen else "anything", error))
        return list(dict.fromkeys(found)) or [good("forms", f"Slack takes what people fill in ({len(most)} tried)")]

    async def _members(self, groups: Collection[str]) -> dict[str, frozenset[str]]:
        """Who is in each group, by Slack user id. Raises `SlackUnavailable`."""
        shapes = {name: self._catalog.groups[name] for name in groups}
        home = (await self._slack.identity()).home
        there = await self._there() if any(shape.slack_usergroup for shape in shapes.values()) else {}
        looked = await self._looked()
        found: dict[str, frozenset[str]] = {}
        for name, shape in shapes.items():
            users = [looked.get(identity_of(address)) for address in shape.people]
            for user in users:
                if user is None or (isinstance(user, SlackUnavailable) and user.code != "users_not_found"):
                    raise SlackUnavailable("people")
            group = there.get(shape.slack_usergroup or "") or {}
            known = await self._active() if shape.slack_usergroup else {}
            # Of whom nothing is known, it is assumed that they can.
            listed = [] if group.get("date_delete") else [u for u in group.get("users") or () if known.get(u, True)]
            found[name] = frozenset(
                user["id"] for user in users if isinstance(user, dict) and _is_member(user, home)
            ) | {*listed}
        return found


def addresses(catalog: Catalog) -> list[str]:
    """Each address that the policy names, once."""
    return list(dict.fromkeys(identity_of(address) for group in catalog.groups.values() for address in group.people))


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


def _filled(steps: Sequence[Step], roles: Sequence[str], members: Mapping[str, Collection[str]]) -> CheckResult | None:
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


def _person(address: str, user: Json | SlackUnavailable, home: str) -> CheckResult | None:
    name = f"person {address}"
    if isinstance(user, SlackUnavailable):
        if user.code != "users_not_found":
            return not_told(name, user)
        return wrong(name, "no active account of this workspace has this address", "correct it, or take it out")
    try:
        member(user, home)
    except NotAMember as error:
        return wrong(name, sentence(error), "take the address out of the policy, or name another")
    return None


def _usergroup(name: str, id_: str, group: Json | None, active: Mapping[str, bool]) -> CheckResult:
    check = f"user group {name}"
    if group is None:
        return wrong(check, f"there is no user group {id_}", "correct its id in the policy (S…, in the group's menu)")
    handle, people = f"@{group.get('handle')}", len(group.get("users") or ())
    if group.get("date_delete"):
        return wrong(check, f"{handle} is disabled: nobody is in it", "enable it in Slack, or name another group")
    if not people:
        return wrong(check, f"nobody is in {handle}", "put people into it in Slack")
    counted = f"{people} people" if people > 1 else "1 person"
    nobody = [user for user in group.get("users") or () if not active.get(user, True)]
    cannot = "deactivated, guests, bots, or without a usable address"
    if len(nobody) == people:
        return wrong(
            check, f"nobody in {handle} can act: {counted}, {cannot}", "put active full members into it in Slack"
        )
    if nobody:
        said = f"{handle}, {counted}, of whom {len(nobody)} cannot act ({cannot}) and count for nothing"
        return note(check, said, f"take them out in Slack: {', '.join(nobody[:5])}{' …' if len(nobody) > 5 else ''}")
    return good(check, f"{handle}, {counted}; whoever may edit user groups in Slack says who")


def _form(what: str, error: SlackUnavailable | SlackObjectFormationError) -> CheckResult:
    if isinstance(error, SlackUnavailable) and error.code == "unknown_method":
        return unchecked("forms", "this Slack has no blocks.validate")
    if isinstance(error, SlackUnavailable) and error.code != "invalid_view":
        return not_told("forms", error)
    told = "; ".join(error.flaws) if isinstance(error, SlackUnavailable) else str(error)
    said = f"Slack would refuse the form for {what}: {told or 'it does not say why'}"
    return wrong("forms", said, "shorten what the policy says there, or offer less of it")


def _channel_flaws(info: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a channel, and how to fix each."""
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
