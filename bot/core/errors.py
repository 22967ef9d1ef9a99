"""What can be refused and why, as types with facts; it words nothing for people (handlers/replies.py does).

::

    JitError
    ├── NotUnderstood
    │   ├── UnknownChoice       nothing of that name, or nothing this person may ask
    │   ├── UnknownSystem       nothing of that name, or nothing this person may know of
    │   ├── UnknownPerson       a name that Slack did not turn into an account, and no address
    │   ├── BadDuration         not a duration, or not one that the choice offers
    │   ├── BadDay              no day, or one that has not begun
    │   ├── UnknownWord         a word that the record cannot be asked for, or one thing asked for twice
    │   ├── BadReason           missing, too long, or not of the expected form
    │   └── BadStart            no time, or one that is past, or too far away
    ├── NotAMember              a guest, an external, a bot, someone deactivated, or without an address
    ├── NotAllowed              the policy's verdict, with its reasons
    ├── LimitReached            too many open requests, or too many in a short time
    ├── AlreadyAsked            the same is asked for and not decided yet
    ├── NotFound                no such request, or not one that this person may read
    ├── Ambiguous               several requests fit; an id is needed
    ├── CannotExtend            no later end is possible, or one is asked for already
    ├── Late                    the deadline passed before the commit
    ├── Overtaken               the request is no longer in a state where this can be done
    ├── AlreadyAnswered         this person's answer is already recorded
    ├── RoleChanged             the role changed since it was asked for: the request is void
    ├── LockedDown              an operator stopped all that is new
    ├── NotLockedDown           nothing is locked down there, so there is nothing to lift
    ├── PolicyMoved             this replica holds another policy than the workspace
    ├── CouldNotCheck           a directory did not answer in time
    ├── Crowded                 so much came at once that its turn did not come in time
    ├── IdentityTaken           another account of the workspace is bound to this e-mail address
    ├── Tampered                a record's seal does not fit its body
    └── StoreAway               Redis does not answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.core.lockdown import Lock
    from bot.core.model import Request
    from bot.core.policy import Verdict


class JitError(Exception):
    """The root of what this product refuses on purpose."""


class NotUnderstood(JitError):
    """What was typed can be mended by the person who typed it."""


class UnknownChoice(NotUnderstood):
    """Neither a template nor a system/role by that name that this person may ask for."""

    def __init__(self, what: str, nearest: tuple[str, ...] = ()) -> None:
        """Keep the word and what is like it."""
        super().__init__(what)
        self.what, self.nearest = what, nearest


class UnknownSystem(NotUnderstood):
    """No system by that name that this person may ask for or answers for."""

    def __init__(self, what: str, nearest: tuple[str, ...] = ()) -> None:
        """Keep the word and what is like it."""
        super().__init__(what)
        self.what, self.nearest = what, nearest


class UnknownPerson(NotUnderstood):
    """Neither an account nor an e-mail address: people are never told apart by name."""

    def __init__(self, what: str) -> None:
        """Keep what was typed."""
        super().__init__(what)
        self.what = what


class BadDuration(NotUnderstood):
    """Not a duration, or longer than the cap. ``offered`` and ``cap`` are in seconds."""

    def __init__(self, text: str, offered: tuple[int, ...], cap: int) -> None:
        """Keep what was typed and what would do."""
        super().__init__(text)
        self.text, self.offered, self.cap = text, offered, cap


class BadReason(NotUnderstood):
    """A reason that will not do. ``problem`` is ``missing``, ``short``, ``long`` or ``form``."""

    def __init__(self, problem: str, hint: str = "", limit: int = 0) -> None:
        """Keep what is wrong, and the hint of whoever wrote the policy."""
        super().__init__(problem)
        self.problem, self.hint, self.limit = problem, hint, limit


class BadDay(NotUnderstood):
    """No day that is over or begun."""

    def __init__(self, text: str) -> None:
        """Keep what was typed."""
        super().__init__(text)
        self.text = text


class UnknownWord(NotUnderstood):
    """The record cannot be asked for this. ``twice``: what of which there is one already, empty where there is none."""

    def __init__(self, what: str, nearest: tuple[str, ...], *, twice: str = "") -> None:
        """Keep what was typed, and what may have been meant."""
        super().__init__(what)
        self.what, self.nearest, self.twice = what, nearest, twice


class BadStart(NotUnderstood):
    """No start that access can have. ``at`` and ``latest`` are Unix seconds, 0 where it is no time at all."""

    def __init__(self, at: float, latest: float = 0, text: str = "") -> None:
        """Keep what was meant."""
        super().__init__(text or str(at))
        self.at, self.latest, self.text = at, latest, text


class NotAMember(JitError):
    """Not a full, active member of this workspace.

    ``kind`` is ``guest``, ``external``, ``bot``, ``deactivated``, ``no_email`` or ``elsewhere``.
    """

    def __init__(self, kind: str) -> None:
        """Keep what the account is."""
        super().__init__(kind)
        self.kind = kind


class NotAllowed(JitError):
    """The policy says no; the verdict carries each reason."""

    def __init__(self, verdict: Verdict) -> None:
        """Keep the verdict."""
        super().__init__(", ".join(reason.code for reason in verdict.reasons))
        self.verdict = verdict


class LimitReached(JitError):
    """One more than allowed. ``kind`` is ``open``, ``submits`` or ``reminders``, ``window`` in seconds."""

    def __init__(self, kind: str, limit: int, window: int = 0) -> None:
        """Keep which limit it is."""
        super().__init__(kind)
        self.kind, self.limit, self.window = kind, limit, window


class AlreadyAsked(JitError):
    """The same person has asked for the same, and it is not decided or opened yet."""

    def __init__(self, request: Request) -> None:
        """Keep the request that waits."""
        super().__init__(request.id)
        self.request = request


class NotFound(JitError):
    """No such request; said also to those who may not read it."""

    def __init__(self, id_: str) -> None:
        """Keep the id as it was given."""
        super().__init__(id_)
        self.id = id_


class Ambiguous(JitError):
    """More than one request fits (``ids``), or none does (``ids`` is empty)."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        """Keep the ids to choose from."""
        super().__init__(", ".join(ids))
        self.ids = ids


class CannotExtend(JitError):
    """No later end. ``why`` is ``cap``, ``asked``, ``systems`` or ``changed``; ``latest`` in Unix seconds."""

    def __init__(self, request: Request, why: str, latest: float = 0) -> None:
        """Keep why, and the latest end that there can be."""
        super().__init__(f"{request.id}: {why}")
        self.request, self.why, self.latest = request, why, latest


class Late(JitError):
    """The deadline (Unix seconds) passed before this could be recorded."""

    def __init__(self, id_: str, deadline: float) -> None:
        """Keep whose deadline it was."""
        super().__init__(id_)
        self.id, self.deadline = id_, deadline


class Overtaken(JitError):
    """The request moved on: what was pressed does not apply to ``request`` as it is now."""

    def __init__(self, request: Request) -> None:
        """Keep the request as it is now."""
        super().__init__(f"{request.id} is {request.state}")
        self.request = request


class AlreadyAnswered(JitError):
    """This person has answered; a second press changes nothing."""

    def __init__(self, request: Request) -> None:
        """Keep the request as it is now."""
        super().__init__(request.id)
        self.request = request


class RoleChanged(JitError):
    """What was asked for is not what the policy grants today."""

    def __init__(self, request: Request) -> None:
        """Keep the request that is void."""
        super().__init__(request.id)
        self.request = request


class LockedDown(JitError):
    """Nothing new is opened: an operator, or a doubt about the record of lockdowns, stopped it."""

    def __init__(self, lock: Lock) -> None:
        """Keep the lockdown."""
        super().__init__(lock.system or "everything")
        self.lock = lock


class NotLockedDown(JitError):
    """No lockdown of that system, or of everything (``system`` is empty), stands."""

    def __init__(self, system: str, locked: tuple[str, ...]) -> None:
        """Keep what was meant, and what is locked down."""
        super().__init__(system or "everything")
        self.system, self.locked = system, locked


class PolicyMoved(JitError):
    """The workspace decides by another policy generation than this replica holds."""


class CouldNotCheck(JitError):
    """A directory did not answer in time, so nothing new is allowed. ``what`` was to be looked up."""

    def __init__(self, what: str) -> None:
        """Keep what could not be looked up."""
        super().__init__(what)
        self.what = what


class IdentityTaken(JitError):
    """Two accounts of the workspace claim one e-mail address; neither may go on before a person decides."""


class Tampered(JitError):
    """A body that our key did not seal; nothing is done with it."""

    def __init__(self, id_: str) -> None:
        """Keep whose record it is."""
        super().__init__(id_)
        self.id = id_


class Crowded(JitError):
    """More came at once than could be answered in time; nothing was done."""


class StoreAway(JitError):
    """Redis does not answer; nothing was half done, since every change is one script."""
