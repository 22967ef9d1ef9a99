"""Closes access, against its holder where need be: first nobody gets in, then nobody is in, then the rest.

Each step is a transaction of its own, and no step waits for the success of a lesser one. What could not be done is
kept and told at the end, the gravest first, with what to type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from providers.systems.base import Outcome, Presence, ProviderError, Refused, Unsure
from providers.systems.postgresql import statements
from providers.systems.postgresql.connection import worded
from providers.systems.postgresql.leftovers import Leftovers
from providers.systems.postgresql.locks import Contest
from providers.systems.postgresql.made import Comparison
from providers.systems.postgresql.params import PostgresConfig
from providers.systems.postgresql.prepared import roll_back, to_type
from providers.systems.postgresql.session import GRANTOR_SCOPED, RoleFacts, Session

REVOKE_TIMEOUTS = 8
_FOR_THE_REST = 3
"""Of these, how many timeouts the first step leaves to the others; the next revoke has its turn at the first again."""
_LONGEST = 560
_REMAINS = 230
_GRANTORS = """
SELECT g.rolname::pg_catalog.text AS role, u.rolname::pg_catalog.text AS grantor
FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
LEFT JOIN pg_catalog.pg_roles u ON u.oid = m.grantor
WHERE m.member = %s::pg_catalog.oid AND g.rolname = ANY(%s::pg_catalog.text[]) ORDER BY 1, 2
"""


@dataclass
class Steps:
    """What went wrong in steps that must not keep the next ones from being made."""

    failed: list[ProviderError] = field(default_factory=list)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Keep the failure, and go on."""
        try:
            yield
        except ProviderError as error:
            self.failed.append(error)
        except psycopg.Error as error:
            self.failed.append(worded("revoke", error))

    def error(self, before: str = "", after: str = "") -> ProviderError:
        """All that failed, as one; unknown where any is. ``after``: what may remain besides."""
        said = dict.fromkeys(str(error) for error in self.failed)
        kind: Callable[[str], ProviderError] = (
            Unsure if any(isinstance(error, Unsure) for error in self.failed) else Refused
        )
        return kind(_with(f"{before}{'; '.join(said)}", after))


@dataclass
class RevokeSteps:
    """The end of one access. ``made``: how to find what was made under the names of the roles that were granted."""

    config: PostgresConfig
    session: Session
    role: RoleFacts
    made: Comparison

    async def own(self) -> Outcome:
        """Shut, empty and drop an order's own login."""
        session, role = self.session, self.role
        contest = Contest(self.config, session, role, own=True)
        shut, empty, lesser, left, dropped = (Steps() for _ in range(5))
        with shut.step():
            await contest.win(statements.close_login(role.name), _FOR_THE_REST * self.config.timeout)
        await self._end(empty, contest)
        for name in role.member_of:
            with lesser.step():
                await contest.win(statements.remove(role.name, name), self.config.timeout)
        for member in role.members:
            with lesser.step():
                await contest.win(statements.remove(member, role.name), self.config.timeout)
        await self._end(empty, contest)
        with lesser.step():
            await roll_back(self.config, session, role)
        remains = await self.made.told()
        kept = await Leftovers(self.config, session, role).hand_over(left)
        if not empty.failed:
            # A session that lived on would be out of reach: its role's oid is in no catalog any more.
            with dropped.step():
                await contest.win(statements.drop(role.name), self.config.timeout)
        await self._end(empty, contest)
        if await session.role(role.name) is not None or empty.failed:
            raise self._unfinished(shut, empty, [left if left.failed else dropped, lesser], remains)
        return Outcome(
            presence=Presence.ABSENT,
            killed=len(contest.seen),
            kept="; ".join(kept),
            remains=_remains(remains, self._members()),
        )

    async def existing(self, roles: Sequence[str], kept: str) -> Outcome:
        """Take these memberships from a login that stays, and end all its sessions."""
        session, role = self.session, self.role
        contest = Contest(self.config, session, role, own=False)
        steps, empty = Steps(), Steps()
        for name in [name for name in roles if name in role.member_of]:
            with steps.step():
                await contest.win(statements.remove(role.name, name), _FOR_THE_REST * self.config.timeout)
        # Also when they were gone: a revoke before this one may have come no further, and who did SET ROLE keeps it.
        await self._end(empty, contest)
        stays = await session.rows(_GRANTORS, role.oid, list(roles))
        prepared = await session.prepared_by(role.name)
        remains = await self.made.told()
        if steps.failed or empty.failed:
            steps.failed += empty.failed
            raise steps.error(after=remains)
        if prepared:
            raise Refused(
                f"{role.name} has prepared transactions, which only it or a superuser ends: "
                f"{_with(to_type(prepared), remains)}"
            )
        if stays:
            # From 16 on, a membership that another hand gave meanwhile is a row of its own and stays.
            remains = _remains(self._by_hand(stays), remains)
            return Outcome(presence=Presence.FOREIGN, killed=len(contest.seen), kept=kept, remains=remains)
        return Outcome(
            presence=Presence.ABSENT, killed=len(contest.seen), kept=kept, remains=_remains(remains, self._members())
        )

    async def _end(self, steps: Steps, contest: Contest) -> None:
        with steps.step():
            await contest.end_sessions()

    def _unfinished(self, shut: Steps, empty: Steps, lesser: Sequence[Steps], remains: str) -> ProviderError:
        """What to say when the role is still there, or somebody is in."""
        rest = [error for steps in lesser for error in steps.failed]
        if shut.failed or empty.failed:
            return Steps([*shut.failed, *empty.failed, *rest]).error(after=remains)
        if not rest:
            return Refused(f"{self.role.name} was made anew by another hand while it was closed")
        before = f"{self.role.name} is shut and its sessions are ended, but it is not dropped: "
        return Steps(rest).error(before, after=remains)

    def _members(self) -> str:
        if not self.role.members:
            return ""
        who = ", ".join(self.role.members[:3])
        return f"what {who} did as members of {self.role.name}, made so by another hand (their sessions were ended too)"

    def _by_hand(self, stays: Sequence[object]) -> str:
        """The memberships that another hand gave, with what to type."""
        said = []
        for row in stays:
            name, grantor = str(getattr(row, "role", "")), getattr(row, "grantor", None)
            words = statements.remove(self.role.name, name).as_string()
            if grantor and self.session.version >= GRANTOR_SCOPED:
                words += f" GRANTED BY {sql.Identifier(grantor).as_string()}"
            said.append(f"{name}, given by {grantor or 'another hand'}: {words}")
        return "; ".join(said)


def _with(said: str, remains: str) -> str:
    """What has to be done first, and what may remain besides: the second is cut so that the first is whole."""
    said = said[:_LONGEST]
    return f"{said}; may remain: {remains}"[: _LONGEST + _REMAINS] if remains else said


def _remains(*said: str) -> str:
    return "; ".join(word for word in said if word)[:_LONGEST]
