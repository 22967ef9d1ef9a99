"""Closes access, against its holder where need be: first nobody gets in, then nobody is in, then the rest.

Each step is a statement of its own, and no step waits for the success of a lesser one. What could not be done is
kept and told at the end, the gravest first, with what to type.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pymysql

from providers.systems.base import Json, Outcome, Presence, ProviderError, Refused, Unsure
from providers.systems.mysql import made, statements
from providers.systems.mysql.accounts import MysqlAccount
from providers.systems.mysql.connection import worded
from providers.systems.mysql.params import MysqlConfig
from providers.systems.mysql.rights import reached
from providers.systems.mysql.session import MysqlSession

REVOKE_TIMEOUTS = 8
_FOR_THE_REST = 3
"""Of these, how many timeouts the first step leaves to the others; the next revoke has its turn at the first again."""
_POLL = 0.02
_LOCKED = {1205, 1213, 1969}
_LONGEST = 560
_REMAINS = 230
_MOST_NAMED = 3
_LINGERS = 0.5
"""Seconds after which a transaction that is prepared, and whose nothing says, is taken for one that was left."""


@dataclass
class FailedSteps:
    """What went wrong in steps that must not keep the next ones from being made."""

    errors: list[ProviderError] = field(default_factory=list)

    @contextmanager
    def step(self, cure: str = "") -> Iterator[None]:
        """Keep the failure, with what to type where a right is lacking, and go on."""
        try:
            yield
        except ProviderError as error:
            self.errors.append(error)
        except pymysql.Error as error:
            told = worded("revoke", error)
            self.errors.append(Refused(f"{told}: {cure}") if cure and isinstance(told, Refused) else told)

    def error(self, before: str = "", after: str = "") -> ProviderError:
        """All that failed, as one; unknown where any is. ``after``: what may remain besides."""
        said = dict.fromkeys(str(error) for error in self.errors)
        unsure = any(isinstance(error, Unsure) for error in self.errors)
        kind: Callable[[str], ProviderError] = Unsure if unsure else Refused
        return kind(_with(f"{before}{'; '.join(said)}", after))


@dataclass
class AccountEnd:
    """The end of one access. ``facts``: what was there when it began, of its receipt."""

    config: MysqlConfig
    session: MysqlSession
    roles: Sequence[str]
    """Those that were granted."""
    makes: bool
    """Whether privileges were granted by which the account can make what has it as its definer."""
    facts: Mapping[str, Json]
    seen: set[int] = field(default_factory=set)

    async def own(self, account: MysqlAccount) -> Outcome:
        """Shut, empty and drop an order's own account."""
        shut, empty, lesser, dropped = (FailedSteps() for _ in range(4))
        make_accounts = f"GRANT CREATE USER ON *.* TO {self.session.me}"
        with shut.step(make_accounts):
            await self._insist(statements.close_login(account.quoted), account, _FOR_THE_REST * self.config.timeout)
        # Its events come back as sessions, every second even where it is locked, until it is dropped.
        with FailedSteps().step():
            await self._end_sessions(account.name, so_far=True)
        for role in account.roles:
            with lesser.step(statements.to_allow(self.session.me, [role])):
                await self._insist(statements.remove(account.quoted, role), account, self.config.timeout)
        with dropped.step(make_accounts):
            await self._insist(statements.drop(account.quoted), account, self.config.timeout)
        with empty.step():
            await self._end_those_who_act_as(account)
        if dropped.errors or empty.errors:
            with empty.step():
                await self._end_sessions(account.name, so_far=bool(dropped.errors))
            left = FailedSteps([*shut.errors, *empty.errors, *dropped.errors, *lesser.errors])
            raise left.error("" if shut.errors or empty.errors else f"{account.name} is shut, but it is not dropped: ")
        return await self.gone(account.name, account.host)

    async def gone(self, name: str, host: str) -> Outcome:
        """The account is not there, or not any more: nobody may be in by it all the same."""
        steps = FailedSteps()
        with steps.step():
            await self._end_sessions(name)
        remains, kept = await self._looked_for(steps, f"{name}@{host}")
        if steps.errors:
            raise steps.error(after=remains)
        return Outcome(presence=Presence.ABSENT, killed=len(self.seen), remains=remains[:_LONGEST], kept=kept)

    async def existing(self, account: MysqlAccount, roles: Sequence[str], kept: str) -> Outcome:
        """Take these roles from an account that stays, and end all its sessions."""
        steps = FailedSteps()
        for role in [role for role in roles if role in account.roles]:
            with steps.step(statements.to_allow(self.session.me, [role])):
                remove = statements.remove(account.quoted, role)
                await self._insist(remove, account, _FOR_THE_REST * self.config.timeout)
        # Also when they were gone: a revoke before this one may have come no further, and who has it active keeps it.
        with steps.step():
            await self._end_sessions(account.name, so_far=True)
            await self._end_those_who_act_as(account)
        remains, _ = await self._looked_for(steps, "")
        if steps.errors:
            raise steps.error(after=remains)
        now = (await self.session.named(account.name)).at(account.host)
        if stays := [role for role in roles if now is not None and role in now.roles]:
            remains = "; ".join([*(statements.remove(account.quoted, role) for role in stays), remains])
            return Outcome(presence=Presence.FOREIGN, killed=len(self.seen), kept=kept, remains=remains[:_LONGEST])
        return Outcome(presence=Presence.ABSENT, killed=len(self.seen), kept=kept, remains=remains[:_LONGEST])

    async def _insist(self, statement: str, account: MysqlAccount, until: float) -> None:
        """Make the change, ending the account's sessions while some lock is in its way and there is time."""
        while True:
            with FailedSteps().step():
                self.seen |= await self.session.sessions(account.name)
                await self.session.do(statements.kill(account.name))
            try:
                await self.session.do(statement)
            except pymysql.Error as error:
                if not error.args or error.args[0] not in _LOCKED:
                    raise
                if self.session.remaining <= until:
                    raise Unsure(
                        "the accounts of the server are locked by somebody else (FLUSH TABLES WITH READ LOCK, or a lock"
                        " on a table of `mysql`): SHOW PROCESSLIST tells who; it is tried again"
                    ) from error
                await asyncio.sleep(_POLL)
                continue
            return

    async def _end_those_who_act_as(self, account: MysqlAccount) -> None:
        """Their sessions bear their own names. They may be anybody's, so that those of others are left alone."""
        for name in sorted(await self.session.mapped(account)):
            await self._end_sessions(name, so_far=True)

    async def _end_sessions(self, name: str, *, so_far: bool = False) -> None:
        self.seen |= await self.session.end_sessions(name, so_far=so_far)

    async def _looked_for(self, steps: FailedSteps, who: str) -> tuple[str, str]:
        """What may remain in the names of roles or as prepared work, and what is left of a dropped account."""
        remains, kept = "", ""
        with steps.step():
            reach = await reached(self.session, self.roles)
            found = await made.since(self.session, reach, self.facts)
            remains = found.told
            if found.runs:
                raise Refused(
                    f"events in the name of a granted role go on by themselves: {'; '.join(found.runs[:_MOST_NAMED])}"
                )
            if who and (reach.makes or self.makes):
                kept = await made.without_owner(self.session, who)
        with steps.step():
            await self._nothing_prepared()
        with steps.step():
            if count := await self.session.replicas():
                replicas = f"sessions on replicas ({count}), where the bot ends none"
                remains = f"{remains}; {replicas}" if remains else replicas
        return remains, kept

    async def _nothing_prepared(self) -> None:
        """Nobody may commit anything later. An application's own are short: only what lingers is named."""
        if not (first := await made.lingering(self.session, self.facts)):
            return
        await asyncio.sleep(_LINGERS)
        if left := [each for each in await made.lingering(self.session, self.facts) if each in first]:
            words = "; ".join(f"XA ROLLBACK {each}" for each in left[:_MOST_NAMED])
            raise Refused(
                f"{len(left)} transactions were prepared meanwhile, nothing says by whom, and anybody may commit them:"
                f" {words}"
            )


def _with(said: str, remains: str) -> str:
    """What has to be done first, and what may remain besides: the second is cut so that the first is whole."""
    said = said[:_LONGEST]
    return f"{said}; may remain: {remains}"[: _LONGEST + _REMAINS] if remains else said
