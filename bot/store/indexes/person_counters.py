"""A person's ledger: recent requests, approvals by rules, open requests. One numbered value with a MAC.

The commit that it counts writes it, guarded by the value that the verdict has read. Write access to Redis can delete it
or restore an older one. A process that saw a newer one detects that, and no rule approves anything for that person
while unknown requests may count. What no process remembers, the worker counts again from the audit log before it
grants what a rule approved.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field, ValidationError

from bot.core.frozen import Frozen
from bot.core.request import Request
from bot.policy.rules import WINDOW
from bot.store.forged_values import ForgedValues
from bot.store.keys import Keys
from bot.store.record_seal import Authorship

KEPT: Final = 2 * WINDOW
"""Seconds without a request after which a ledger is gone: nothing in it counts any more."""
SUBMIT_WINDOW: Final = 600
"""Seconds over which a person's submits are counted."""
_MOST: Final = 20_000
_MOST_ASKED: Final = 2_000
_MOST_OPEN: Final = 200


class RuleApproval(Frozen):
    """That a rule approved a request, in Unix seconds."""

    rule: str
    at: float


class PersonLedger(Frozen):
    """Times in Unix seconds of the store's clock. ``n`` counts its versions; ``asked``: when something was asked.

    ``open``: what is open, or may be; ``blind``: until when something counts that is not known.
    """

    n: int = 0
    at: float = 0
    asked: Annotated[tuple[float, ...], Field(max_length=_MOST_ASKED)] = ()
    ruled: Annotated[tuple[RuleApproval, ...], Field(max_length=_MOST_ASKED)] = ()
    open: Annotated[tuple[str, ...], Field(max_length=_MOST_OPEN)] = ()
    blind: float = 0
    break_glass: Annotated[tuple[float, ...], Field(max_length=_MOST_ASKED)] = ()
    """When break-glass was used."""

    def uses(self, rules: Sequence[str], now: float) -> dict[str, int]:
        """How often each rule approved within its window; none is counted while that is not known."""
        if now < self.blind:
            return {}
        lately = [each.rule for each in self.ruled if each.at > now - WINDOW]
        return {rule: lately.count(rule) for rule in rules}

    def asked_within(self, seconds: float, now: float) -> int:
        """How many requests."""
        return sum(at > now - seconds for at in self.asked)

    def break_glass_uses(self, now: float) -> int | None:
        """How often break-glass was used within `WINDOW`; None while that is not known."""
        return None if now < self.blind else sum(at > now - WINDOW for at in self.break_glass)

    def with_break_glass(self, at: float) -> PersonLedger:
        """With one more use, of a request that is counted already."""
        lately = tuple(each for each in self.break_glass if each > at - WINDOW)
        return self.model_copy(update={"n": self.n + 1, "at": at, "break_glass": (*lately, at)})

    def after(self, request: Request, window: float, person: str) -> PersonLedger:
        """With one more request, as the ledger of ``person``: of who requests it, of whom it is for, or of both.

        ``window``: seconds over which requests are counted.
        """
        now, rule = request.created_at, request.rule
        ruled = tuple(each for each in self.ruled if each.at > now - WINDOW)
        asked = (*(at for at in self.asked if at > now - window), now)[-_MOST_ASKED:]
        theirs, asks = person == request.requester.id, person == request.parties[-1].id
        lately = tuple(each for each in self.break_glass if each > now - WINDOW)
        return self.model_copy(
            update={
                "n": self.n + 1,
                "at": now,
                "asked": asked if asks else self.asked,
                "ruled": (*ruled, RuleApproval(rule=rule.key, at=now)) if rule and theirs else ruled,
                "break_glass": (*lately, now) if request.break_glass and theirs else lately,
                "open": tuple(dict.fromkeys((*self.open, request.id)))[-_MOST_OPEN:] if theirs else self.open,
            }
        )

    def after_rule(self, request: Request) -> PersonLedger:
        """With the approval by a rule of a request that it has already."""
        now, rule = request.approved_at, request.rule
        ruled = tuple(each for each in self.ruled if each.at > now - WINDOW)
        more = (RuleApproval(rule=rule.key, at=now),) if rule else ()
        return self.model_copy(update={"n": self.n + 1, "at": now, "ruled": (*ruled, *more)})


@dataclass
class PersonLedgers:
    """The ledgers of one workspace, and the newest number of each that this process has seen; no I/O."""

    authorship: Authorship
    keys: Keys
    forged_values: ForgedValues
    _newest: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)

    def read(self, person: str, value: str, now: float, newest: int) -> PersonLedger:
        """What a key holds; where it is not ours, or older than is known, a ledger that knows of nothing lately.

        ``newest``: the number of the newest one that was known when it was sent for.
        """
        known, at = self._newest.get(person, (0, 0.0))
        ledger = self._opened(person, value)
        if ledger is None or (ledger.n < known and at > now - WINDOW):
            # One that was lost is begun again at a low number, with a later time. One that a commit overtook on its
            # way here is older than what is known by now, and is nobody's doing.
            if ledger is not None and value and ledger.n < newest and ledger.at < at:
                self.forged_values.older(self.keys.ledger(person))
            return PersonLedger(n=known, blind=now + WINDOW)
        self.seen(person, ledger)
        return ledger

    def newest(self, person: str) -> int:
        """The number of the newest one that is known; 0 for none."""
        return self._newest.get(person, (0, 0.0))[0]

    def seen(self, person: str, ledger: PersonLedger) -> None:
        """From here on no older one is believed."""
        known, _ = self._newest.get(person, (0, 0.0))
        if ledger.n > known:
            self._newest[person] = (ledger.n, ledger.at)
            self._newest.move_to_end(person)
            while len(self._newest) > _MOST:
                self._newest.popitem(last=False)

    def sealed(self, person: str, ledger: PersonLedger) -> str:
        """As it lies in its key."""
        body = json.dumps(ledger.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))
        return f"{body}|{self.authorship.sign('ledger', person, body)}"

    def all_sealed(self, ledgers: Mapping[str, PersonLedger]) -> dict[str, str]:
        """The same of several people."""
        return {person: self.sealed(person, ledger) for person, ledger in ledgers.items()}

    def _opened(self, person: str, value: str) -> PersonLedger | None:
        """None for what is not ours."""
        if not value:
            return PersonLedger()
        body, _, tag = value.rpartition("|")
        if not self.authorship.signed(tag, "ledger", person, body):
            self.forged_values.wrong_mac(self.keys.ledger(person), tag)
            return None
        try:
            return PersonLedger.model_validate_json(body)
        except ValidationError:  # another version of this product wrote it
            return None
