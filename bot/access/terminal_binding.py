"""An operator confirms in Slack that an account of a machine is theirs: that terminal then counts as this operator.

It takes both sides: the terminal shows a code, and an operator types it into Slack. A binding gives no rights beyond
those of the store and its keys; it only names a person where operators are counted, as when two lift a lockdown. A
roster is the members of groups as known now.
"""

from __future__ import annotations

import json

from bot.access.context import AccessContext
from bot.core.errors import CouldNotCheck, NotAllowed, TerminalDoesNotCount, WrongCode
from bot.core.identity import identity_of
from bot.core.lockdown import Operator
from bot.core.verdict import Actor, Members, Roster
from bot.local_account import OsAccount
from bot.policy import authorization
from bot.store.indexes.directory_changes import DirectoryChanges
from bot.store.indexes.identity_bindings import Bindings
from bot.store.indexes.terminal_bindings import BOUND_FOR, Binding, Terminals, terminal_of

_ROW = "people|record:#"
"""The outbox row of a message in the audit channel."""


# at the terminal


async def binding_of(context: AccessContext, account: OsAccount) -> Binding | None:
    """The binding of this account; None when it is not bound."""
    return await Terminals(context.store).of(account.by)


async def new_code(context: AccessContext, account: OsAccount) -> str:
    """A code for this account, to be typed into Slack. Raises `TerminalDoesNotCount` if who types is uncertain."""
    if account.doubt:
        raise TerminalDoesNotCount(account.by, account.doubt)
    return await Terminals(context.store).offer(account)


async def unbind_own(context: AccessContext, account: OsAccount) -> Binding | None:
    """Unbind the account at the terminal; None when it was not bound. Nobody has to confirm it."""
    binding = await binding_of(context, account)
    if binding:
        await _unbind(context, account.by, account.by)
    return binding


async def operator_of(context: AccessContext, account: OsAccount) -> tuple[Operator, Roster]:
    """The operator as whom the account at the terminal counts, and the groups as far as a terminal knows them.

    Raises `TerminalDoesNotCount`, `NotAllowed`.
    """
    binding = await binding_of(context, account)
    if account.doubt:
        raise TerminalDoesNotCount(account.by, account.doubt)
    # The name alone is not enough: the binding is for one uid on one machine.
    if binding is None or binding.terminal != terminal_of(account):
        raise TerminalDoesNotCount(account.by)
    if refusing := (await Bindings(context.store).person(binding.person.identity)).refusing:
        why = f"the directory {refusing} says that {binding.person.email} is another person's than before"
        raise TerminalDoesNotCount(account.by, why)
    roster = await _roster(context)
    verdict = authorization.may_lock_down(context.catalog(), roster, binding.person)
    if verdict.unknown:
        why = f"who is in {', '.join(_unknown(roster))} can only be looked up in Slack"
        raise TerminalDoesNotCount(account.by, why)
    if not verdict.allowed:
        raise NotAllowed(verdict)
    person = binding.person
    return Operator(by=account.by, name=f"{person.name or person.email} ({account.by})", person=person), roster


# in Slack


async def confirm(context: AccessContext, actor: Actor, code: str) -> Binding:
    """This operator confirms that the account behind the code is theirs.

    Raises `NotAllowed`, `WrongCode`, and `CouldNotCheck` for an actor who was not looked up in Slack for this.
    """
    await require_operator(context, actor)
    if not actor.looked_up_now:
        raise CouldNotCheck("who the operators are")
    terminal = await Terminals(context.store).offered(code)
    if terminal is None:
        raise WrongCode(code[:20])
    person = actor.person
    binding = Binding(terminal=terminal, person=person, until=await context.store.now() + BOUND_FOR)
    sentence = f"{terminal.by} counts as {person.name} ({person.email}) where operators are counted, for 90 days"
    # Posted before it is in force: an unwanted binding is noticed in time.
    await _note(context, "terminal_bound", person.id, terminal.by, sentence)
    await Terminals(context.store).bind(binding)
    return binding


async def unbind(context: AccessContext, actor: Actor, by: str) -> Binding:
    """An operator unbinds any account. Raises `NotAllowed`, `WrongCode`."""
    await require_operator(context, actor, by)
    binding = await Terminals(context.store).of(by)
    if binding is None:
        raise WrongCode(by[:60])
    await _unbind(context, actor.person.id, by)
    return binding


async def require_operator(context: AccessContext, actor: Actor, about: str = "terminal") -> None:
    """Raises `NotAllowed`, audited, unless this person is an operator."""
    verdict = authorization.may_lock_down(context.catalog(), actor.roster, actor.person)
    await context.require_allowed("terminal", actor, about, verdict)


async def _roster(context: AccessContext) -> Roster:
    """The groups that list addresses, without accounts that Slack reported as deactivated; all others are unknown."""
    nobody = frozenset((await DirectoryChanges(context.store).read()).gone)
    return {
        name: Members(known=False)
        if not group.is_listed
        else Members(identities=frozenset(map(identity_of, group.people)), nobody=nobody)
        for name, group in context.catalog().groups.items()
    }


async def _unbind(context: AccessContext, by: str, terminal: str) -> None:
    await Terminals(context.store).unbind(terminal)
    await _note(context, "terminal_unbound", by, terminal, f"{terminal} is no longer bound to an operator")


async def _note(context: AccessContext, kind: str, by: str, terminal: str, sentence: str) -> None:
    fields = {"by": by, "terminal": terminal, "said": f"{sentence}; by {by}", "well": True}
    await context.store.audit_event(kind, json.dumps(fields, ensure_ascii=False), row=_ROW)


def _unknown(roster: Roster) -> list[str]:
    return [name for name, members in roster.items() if not members.known]
