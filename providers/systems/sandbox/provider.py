"""Doors that protect nothing, with failures by script: for trying out, for tests, never for real access.

It refuses what a real system would refuse, and like many of them it keeps one entry a door and account, whoever
made it: a shared grant over a standing one changes nothing, and a careless revoke would take both away.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

from pydantic import SecretStr

from providers.systems.base import (
    Capabilities,
    ExistingAccess,
    Frozen,
    Health,
    Json,
    Order,
    Outcome,
    Presence,
    Principal,
    Prior,
    Receipt,
    Refused,
    Secret,
    Subject,
    Unsure,
)
from providers.systems.sandbox.config import SandboxConfig, SandboxParams
from providers.systems.sandbox.doors import DirectoryDoors, Entry, MemoryDoors
from providers.systems.sandbox.fault_script import FaultScript

T = TypeVar("T")
BY_HAND = "by hand"
"""Who made an entry that no order made."""
_RIGHTS = ("inspect", "grant", "revoke", "verify", "list_access", "reveal", "extend", "close")
"""What a bot must be let do here; a directory of doors may say otherwise."""
_OWN = re.compile(r"jit-(j-[2-9a-hj-np-z]{4,8})-([0-9]{1,2})")


class Sandbox:
    """The provider ``sandbox``."""

    Config: ClassVar[type[Frozen]] = SandboxConfig
    Params: ClassVar[type[Frozen]] = SandboxParams

    def __init__(self, config: SandboxConfig) -> None:
        """Take the config; a directory is made at the first write."""
        self._config = config
        self.doors: MemoryDoors | DirectoryDoors
        self.doors = MemoryDoors() if config.path is None else DirectoryDoors(config.path)
        self._faults = FaultScript(config, self.doors)

    @property
    def settles_within(self) -> float:
        """As configured."""
        return self._config.settles_within

    @property
    def in_memory(self) -> str:
        """Why no other process sees these doors; '' where they are in a directory."""
        if self._config.path is not None:
            return ""
        return "its doors are in the memory of the process that opened them; give it a `path` in its config"

    @classmethod
    def capabilities(cls, params: Mapping[str, Json]) -> Capabilities:
        """Own accounts or shared ones, with or without a password."""
        wanted = SandboxParams.model_validate(params)
        return Capabilities(
            own_principal=not wanted.shared,
            issues_secret=wanted.secret and not wanted.shared,
            kills_sessions=True,
            native_expiry=False,
            grantor_scoped=False,
            can_write=wanted.write,
            can_extend=True,
        )

    @classmethod
    def consequence(cls, params: Mapping[str, Json]) -> str:
        """Which door."""
        wanted = SandboxParams.model_validate(params)
        return f"opens the sandbox door {wanted.door}, {'can write' if wanted.write else 'read only'}"

    async def check(self) -> Health:
        """Well when the directory lets the bot do all that the verbs need."""
        return await self._do("check", None, self._check)

    async def resolve(self, principal: Principal, params: Mapping[str, Json], order_id: str) -> Subject:
        """The order's own account, or the person's one."""
        wanted = SandboxParams.model_validate(params)
        return await self._do("resolve", wanted.door, lambda: self._subject(principal, wanted, order_id))

    def entitlements(self, order: Order) -> Sequence[str]:
        """The door and account, where shared."""
        if order.subject.own:
            return ()
        return (_shared(order.target, SandboxParams.model_validate(order.params).door, order.subject.native),)

    async def inspect(self, order: Order) -> Prior:
        """Whether the door is open for a shared account; an own account's name must be free."""
        return await self._about("inspect", order, lambda door: self._inspect(order, door))

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        """Open the door, unless it is open."""
        return await self._about("grant", order, lambda door: self._grant(order, door, prior))

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        """Shut the door unless it stood open before, or by another hand."""
        return await self._about("revoke", order, lambda door: self._revoke(order, door, prior, receipt))

    async def verify(self, order: Order, receipt: Receipt | None) -> Presence:
        """Look at the door."""
        return await self._about("verify", order, lambda door: self._verify(order, door, receipt))

    async def list_access(self) -> Sequence[ExistingAccess]:
        """Every open door."""
        target = self._config.id
        return await self._do(
            "list_access", None, lambda: [_standing(target, door, account) for door, account, _ in self.doors.all()]
        )

    async def close_orphan(self, standing: ExistingAccess) -> Outcome:
        """Shut the door of an order's own account."""
        return await self._do("close", standing.entitlement, lambda: self._close(standing))

    async def reveal(self, order: Order, receipt: Receipt) -> Secret:
        """A new password; the one before is dead, and so are its sessions."""
        return await self._about("reveal", order, lambda door: self._reveal(order, door, receipt))

    def connect(self, order: Order, receipt: Receipt) -> str:
        """Which door, and as whom."""
        return _knock(SandboxParams.model_validate(order.params).door, order.subject.native)

    async def extend(self, order: Order, receipt: Receipt) -> Receipt:
        """No door shuts by itself, so a later end changes nothing here."""
        return await self._about("extend", order, lambda door: self._extend(order, door, receipt))

    async def close(self) -> None:
        """Nothing to let go of; what is in flight may still land, as with a real system."""

    # for tests and for the curious

    def is_open(self, door: str, account: str, password: str | None = None) -> bool:
        """Whether this account gets through the door; one with a password only by that password."""
        entry = self.doors.get(door, account)
        if entry is None:
            return False
        return entry.password is None or secrets.compare_digest(entry.password, password or "")

    def open_by_hand(self, door: str, account: str) -> None:
        """Open it as an administrator would, past every order."""
        self.doors.put(door, account, Entry(made_by=BY_HAND))

    def enter(self, door: str, account: str, password: str | None = None) -> str:
        """Go in and stay: a live session's name, for `is_inside`."""
        entry = self.doors.get(door, account)
        if entry is None or not self.is_open(door, account, password):
            raise Refused(f"{door} is shut for {account}")
        session = secrets.token_hex(4)
        self.doors.put(door, account, entry.model_copy(update={"sessions": (*entry.sessions, session)}))
        return session

    def is_inside(self, door: str, account: str, session: str) -> bool:
        """Whether that session still lives."""
        entry = self.doors.get(door, account)
        return entry is not None and session in entry.sessions

    def land(self) -> int:
        """Let every late effect that has no time of its own land now; how many did."""
        return self._faults.land()

    # the verbs, without their failures

    def _check(self) -> Health:
        if missing := [verb for verb in _RIGHTS if not self._may(verb)]:
            raise Refused(f"the bot may not {', '.join(missing)}: {_cure(*missing)}")
        return Health(target=self._config.id, detail="a sandbox, no system")

    def _may(self, verb: str) -> bool:
        rights = self.doors.rights()
        return rights is None or verb in rights or verb not in _RIGHTS

    def _subject(self, principal: Principal, wanted: SandboxParams, order_id: str) -> Subject:
        if not wanted.shared:
            return Subject(native=_own_name(order_id), own=True)
        accounts = self._config.accounts
        found = (principal.key,) if accounts is None else tuple(accounts.get(principal.key, ()))
        if len(found) != 1:
            raise Refused(f"{principal.key} has {len(found)} accounts here, and needs exactly one")
        return Subject(native=found[0], own=False)

    def _inspect(self, order: Order, door: str) -> Prior:
        entry = self.doors.get(door, order.subject.native)
        if order.subject.own:
            if entry is not None and entry.made_by != order.id:
                raise Refused(f"{door} has an account {order.subject.native} of another hand already")
            return Prior(present=False)
        return Prior(present=entry is not None, facts={self.entitlements(order)[0]: entry is not None})

    def _grant(self, order: Order, door: str, prior: Prior) -> Receipt:
        account = order.subject.native
        entry = self.doors.get(door, account)
        if entry is None:
            wanted = SandboxParams.model_validate(order.params)
            # Nobody knows this password: it stands for an account that has none yet.
            password = secrets.token_urlsafe() if wanted.secret and order.subject.own else None
            self.doors.put(door, account, Entry(made_by=order.id, password=password))
        elif order.subject.own and entry.made_by != order.id:
            raise Refused(f"{door} has an account {account} of another hand already")
        ours = order.subject.own or not _stood(prior, self.entitlements(order)[0])
        return Receipt(native=f"{door}/{account}", ours=ours)

    def _revoke(self, order: Order, door: str, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        entry = self.doors.get(door, order.subject.native)
        if entry is None:
            return Outcome(presence=Presence.ABSENT)
        if order.subject.own:
            if entry.made_by != order.id:
                return Outcome(presence=Presence.FOREIGN, kept="an account of another hand")
        elif prior is None or _stood(prior, self.entitlements(order)[0]):
            return Outcome(presence=Presence.ABSENT, kept="what is not ours, or still needed")
        self.doors.drop(door, order.subject.native)
        return self._shut(door, order.subject.native, entry)

    def _verify(self, order: Order, door: str, receipt: Receipt | None) -> Presence:
        entry = self.doors.get(door, order.subject.native)
        if entry is None or (receipt is not None and not receipt.ours):
            return Presence.ABSENT
        if order.subject.own:
            return Presence.PRESENT if entry.made_by == order.id else Presence.FOREIGN
        return Presence.FOREIGN if receipt is None else Presence.PRESENT

    def _reveal(self, order: Order, door: str, receipt: Receipt) -> Secret:
        account = order.subject.native
        if not SandboxParams.model_validate(order.params).secret:
            raise Refused(f"the account {account} has no password")
        entry = self.doors.get(door, account)
        if entry is None or self._verify(order, door, receipt) is not Presence.PRESENT:
            raise Refused(f"{door} is not open for {account} any more")
        password = secrets.token_urlsafe(24)
        self.doors.put(door, account, entry.model_copy(update={"password": password, "sessions": ()}))
        return Secret(username=account, password=SecretStr(password), how=_knock(door, account))

    def _close(self, standing: ExistingAccess) -> Outcome:
        entry = self.doors.get(standing.entitlement, standing.native)
        proved = _OWN.fullmatch(standing.native) and (entry is None or standing.native == _own_name(entry.made_by))
        if not proved:
            return Outcome(presence=Presence.FOREIGN, kept=f"the account {standing.native}, which no order made")
        if entry is None:
            return Outcome(presence=Presence.ABSENT)
        self.doors.drop(standing.entitlement, standing.native)
        return self._shut(standing.entitlement, standing.native, entry)

    def _shut(self, door: str, account: str, entry: Entry) -> Outcome:
        """The door is shut; that nobody can write it down does not open it again."""
        detail = ""
        try:
            self.doors.note(f"shut {door} for {account}")
        except OSError as error:
            detail = f"the log could not be written ({error.strerror})"
        return Outcome(presence=Presence.ABSENT, killed=len(entry.sessions), detail=detail)

    def _extend(self, order: Order, door: str, receipt: Receipt) -> Receipt:
        if receipt.ours and self._verify(order, door, receipt) is not Presence.PRESENT:
            raise Refused(f"{door} is not open for {order.subject.native} any more")
        return receipt

    # their failures

    async def _about(self, verb: str, order: Order, effect: Callable[[str], T]) -> T:
        if order.target != self._config.id:
            raise Refused(f"this is the sandbox {self._config.id}, and the order is for {order.target}")
        door = SandboxParams.model_validate(order.params).door
        return await self._do(verb, door, lambda: effect(door))

    async def _do(self, verb: str, door: str | None, effect: Callable[[], T]) -> T:
        started = time.monotonic()
        if not self._may(verb):
            raise Refused(f"the bot may not {verb}: {_cure(verb)}")
        fault = self._faults.met(verb, door)
        if fault is None:
            return self._in_time(verb, started, effect)
        match fault.does:
            case "slow":
                await self._faults.slow(verb, fault.seconds or 0.0)
            case "refuse":
                raise Refused(f"the sandbox refuses to {verb}, as its script says")
            case "unsure":
                raise Unsure(f"the sandbox does not say what became of {verb}, as its script says")
            case "crash before":
                self._faults.crash(verb)
            case "crash after":
                effect()
                self._faults.crash(verb)
            case "late":
                # One that lands when it is told to is not asked how late it is.
                late = effect if fault.seconds is None else lambda: self._landed(verb, started, effect)
                self._faults.later(late, fault.seconds)
                raise Unsure(f"the sandbox has not answered to {verb} in time, as its script says")
        return self._in_time(verb, started, effect)

    def _in_time(self, verb: str, started: float, effect: Callable[[], T]) -> T:
        """A process that was stopped in the middle of a grant opens nothing when it goes on, as with a real server."""
        if verb == "grant" and time.monotonic() - started > self._config.settles_within:
            raise Unsure(f"the sandbox was asked to {verb} too long ago to do it now")
        return effect()

    def _landed(self, verb: str, started: float, effect: Callable[[], T]) -> None:
        """The same for an effect whose call was given up: its process may have been stopped before it landed."""
        with contextlib.suppress(Unsure):
            self._in_time(verb, started, effect)


def _cure(*verbs: str) -> str:
    return f"add {', '.join(json.dumps(verb) for verb in verbs)} to rights.json"


def _own_name(order_id: str) -> str:
    return "jit-" + order_id.lower().replace(".", "-")


def _knock(door: str, account: str) -> str:
    return f"knock at {door} as {account}"


def _shared(target: str, door: str, account: str) -> str:
    return f"{target}/{door}/{account}"


def _stood(prior: Prior, native: str) -> bool:
    """Whether it is to be kept: it stood before, or somebody else still needs it."""
    return bool(prior.facts.get(native, prior.present))


def _standing(target: str, door: str, account: str) -> ExistingAccess:
    """An account of an order's own has the order's name; it stays an order's in name when another hand took it over."""
    found = _OWN.fullmatch(account)
    if found is None:
        return ExistingAccess(native=account, entitlement=_shared(target, door, account))
    return ExistingAccess(native=account, entitlement=door, order=f"{found[1].upper()}.{found[2]}")
