"""What a permission check is about and what it answers: members of groups, an actor, verdicts and their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from bot.core.delegation import Delegation
from bot.core.frozen import Frozen
from bot.core.request import Person


class Members(Frozen):
    """Who is in a group: by bound identity, by Slack user id, or not known at present.

    ``nobody``: accounts, and addresses, that surely are no active full member's: they stand in groups, and count for
    nothing. ``accounts``: the identities of accounts, as far as they are known: a person who is in one group by account
    and in another by address is one person. ``since``: since when each is known to be in it (Unix seconds), by account
    or address; None where nobody keeps that. ``delegations``: those of its people.
    """

    identities: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    known: bool = True
    nobody: frozenset[str] = frozenset()
    accounts: Mapping[str, str] = {}
    since: Mapping[str, float] | None = None
    delegations: tuple[Delegation, ...] = ()

    def holds(self, person: Person) -> bool:
        """True when the person is surely in it, and active."""
        listed = person.identity in self.identities or person.id in self.users
        return self.known and listed and self.nobody.isdisjoint((person.id, person.identity))

    def joined_after(self, person: Person, moment: float) -> bool:
        """Whether the person may have come into it after that moment; whoever is not known to be in it may have."""
        if self.since is None:
            return False
        return min(self.since.get(who, moment + 1) for who in (person.id, person.identity)) > moment

    @property
    def active(self) -> frozenset[str]:
        """Those who may be able to act, by identity or user id; of whom nothing is known, it is assumed."""
        return (self.identities | self.users) - self.nobody

    @cached_property
    def people(self) -> frozenset[str]:
        """The same, each person once: by identity where that is known."""
        return frozenset(self.accounts.get(who, who) for who in self.active) - self.nobody

    def people_since(self, moment: float | None) -> frozenset[str]:
        """The same, of those who surely joined by that moment; None for all."""
        since = self.since
        if moment is None or since is None:
            return self.people
        settled = (who for who in self.active if since.get(who, moment + 1) <= moment)
        return frozenset(self.accounts.get(who, who) for who in settled) - self.nobody


Roster = Mapping[str, Members]
"""Each group of the policy, as its directory last told it."""


class Code(StrEnum):
    """Why not."""

    MAY_NOT_ASK = "may_not_ask"
    """In none of the groups that may ask for the role."""
    NOBODY_TO_APPROVE = "nobody_to_approve"
    """A step could never be filled: everyone in its groups is the requester, or nobody is."""
    OWN_REQUEST = "own_request"
    """Neither the requester nor who requested it for them ever counts toward its quorum."""
    NOT_AN_APPROVER = "not_an_approver"
    """In none of the groups of a step that is still open."""
    ALREADY_FILLED = "already_filled"
    """Entitled, but others fill every step that this person could."""
    NOT_YET_OPEN = "not_yet_open"
    """Entitled for a later step only; ``about`` has the groups whose step comes first."""
    MAY_NOT_REVOKE = "may_not_revoke"
    """Neither an approver of the system nor an operator."""
    NOT_AN_OPERATOR = "not_an_operator"
    """In none of the groups that operate the workspace."""
    NOT_THE_REQUESTER = "not_the_asker"
    """Only who asked may do this."""
    REQUESTER_MAY_NOT = "asker_may_not"
    """Who asked is in none of the groups that may ask for the role any more."""
    MAY_NOT_ASK_FOR = "may_not_ask_for"
    """In none of the groups that may ask for the role for others."""
    PERSON_MAY_NOT_ASK = "person_may_not_ask"
    """The person whom it is for is in none of the groups that may ask for the role."""
    NOT_AN_AUDITOR = "not_an_auditor"
    """In none of the groups that may read the record."""
    ABOUT_THEMSELF = "about_themself"
    """What stands out is about this very person."""
    DENIED_BY_RULE = "denied_by_rule"
    """A rule of the policy denies it; ``about`` has its place there, and its sentence."""
    RULE_UNSURE = "rule_unsure"
    """The same where a condition of the rule cannot be told just now; ``about`` has that, too."""
    LINKED = "linked"
    """One of reviewer and requester stands in for the other."""
    FRESH_MEMBER = "fresh_member"
    """Joined the group too lately to approve a critical role."""
    NO_STAND_IN = "no_stand_in"
    """In none of the groups whose people may name a stand-in."""
    NOT_A_STAND_IN = "not_a_stand_in"
    """The other person is in none of the groups that may stand in."""
    OWN_STAND_IN = "own_stand_in"
    """Nobody stands in for themself."""
    NO_BREAK_GLASS = "no_break_glass"
    """The policy has no break-glass for the role."""
    MAY_NOT_BREAK_GLASS = "may_not_break_glass"
    """Surely in none of the groups that may use break-glass for the role."""
    REVIEW_OVERDUE = "review_overdue"
    """The review of an earlier break-glass access of this person is overdue."""
    USES_UNKNOWN = "uses_unknown"
    """How often this person used break-glass lately is not known."""
    OWN_BREAK_GLASS = "own_break_glass"
    """Nobody reviews their own break-glass access."""
    LINKED_BREAK_GLASS = "linked_break_glass"
    """One of reviewer and requester of break-glass access stands in for the other."""
    NOT_AN_OWNER = "not_an_owner"
    """No owner of any of its systems, or an operator while an owner could review it."""
    ALREADY_REVIEWED = "already_reviewed"
    """Somebody has reviewed it."""
    UNKNOWN_GROUP = "unknown_group"
    """A directory does not tell who is in the group."""


class Reason(Frozen):
    """One condition that does not hold; ``about`` names the role or the groups that it speaks of."""

    code: Code
    about: tuple[str, ...] = ()

    @property
    def recorded(self) -> str:
        """As the audit log has it: the code, and of a rule which one it is and what it says."""
        by_rule = self.code in {Code.DENIED_BY_RULE, Code.RULE_UNSURE}
        return f"{self.code} {': '.join(self.about)}" if by_rule else self.code


class Verdict(Frozen):
    """Yes without reasons, no with every reason."""

    reasons: tuple[Reason, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    @property
    def unknown(self) -> bool:
        """Whether something that cannot be told just now is among what speaks against it."""
        return any(reason.code in {Code.UNKNOWN_GROUP, Code.RULE_UNSURE} for reason in self.reasons)


class Actor(Frozen):
    """A person, and the groups as they are known at this moment."""

    person: Person
    roster: dict[str, Members]
    looked_up_now: bool = False
    """Whether Slack was asked for this very decision, about all whose word counts in it."""


@dataclass(frozen=True)
class AccountStates:
    """Who surely is deactivated and who surely is not; of the others nobody knows. ``rest``: seconds to ask nothing."""

    gone: frozenset[str] = frozenset()
    here: frozenset[str] = frozenset()
    rest: float = 0.0
