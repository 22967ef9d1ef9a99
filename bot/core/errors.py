"""What can be refused and why, as types with facts; it words nothing for people (handlers/error_messages.py does).

::

    JitError
    ├── NotUnderstood
    │   ├── UnknownChoice       nothing of that name, or nothing this person may ask
    │   ├── CannotCombine       roles that cannot be one request
    │   ├── UnknownSystem       nothing of that name, or nothing this person may know of
    │   ├── UnknownPerson       a name that Slack did not turn into an account, and no address
    │   ├── BadDuration         not a duration, or not one that the choice offers
    │   ├── BadDay              no day, or one that has not begun
    │   ├── UnknownWord         a word that the record cannot be asked for, or one thing asked for twice
    │   ├── BadReason           missing, too long, or not of the expected form
    │   ├── BadInput            a typed input of a role that is missing, or will not do
    │   ├── BadQuestion         a question or an answer that is empty or too long
    │   └── BadStart            no time, or one that is past, or too far away
    ├── NotAMember              a guest, an external, a bot, someone deactivated, or without a usable address
    ├── NotAllowed              the policy's verdict, with its reasons
    ├── LimitReached            too many open requests, or too many in a short time
    ├── AlreadyRequested            the same is requested and not decided yet
    ├── NotFound                no such request, or not one that this person may read
    ├── Ambiguous               several requests fit; an id is needed
    ├── CannotExtend            no extension is possible, or one is already waiting
    ├── Late                    the deadline passed before the commit
    ├── Overtaken               the request is no longer in a state where this can be done
    ├── AlreadyAnswered         this person has already answered
    ├── RoleChanged             the role changed since the request, which is cancelled
    ├── LockedDown              an operator locked it down
    ├── TerminalDoesNotCount    an account of a machine that is nobody's, or not certainly somebody's
    ├── WrongCode               a terminal's code that is wrong, used or too old
    ├── NotLockedDown           nothing is locked down there, so there is nothing to lift
    ├── PolicyMoved             this replica holds another policy than the workspace
    ├── DelegationsChanged      who stands in for whom has changed since it was judged
    ├── CouldNotCheck           a directory did not answer in time
    ├── Crowded                 too much load for its turn to come in time
    ├── IdentityTaken           another account of the workspace is bound to this e-mail address
    ├── Tampered                a record's MAC is wrong
    │   └── RolledBack          a record is older than what is known of its request
    └── StoreAway               Redis does not answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.core.lockdown import Lock
    from bot.core.request import Request
    from bot.core.verdict import Verdict


class JitError(Exception):
    """The root of what this product refuses on purpose."""


class NotUnderstood(JitError):
    """What was typed can be corrected by the person who typed it."""


class UnknownChoice(NotUnderstood):
    """Neither a template nor a system/role by that name that this person may request."""

    def __init__(self, what: str, nearest: tuple[str, ...] = ()) -> None:
        """Keep the word and what is like it."""
        super().__init__(what)
        self.what, self.nearest = what, nearest


class CannotCombine(NotUnderstood):
    """Roles that cannot be one request. ``problem``: ``many``, ``long``, ``inputs`` (above ``most``) or ``differs``."""

    def __init__(self, problem: str, *, most: int = 0, name: str = "") -> None:
        """Keep why."""
        super().__init__(problem)
        self.problem, self.most, self.name = problem, most, name


class UnknownSystem(NotUnderstood):
    """No system by that name that this person may ask for or answers for."""

    def __init__(self, what: str, nearest: tuple[str, ...] = ()) -> None:
        """Keep the word and what is like it."""
        super().__init__(what)
        self.what, self.nearest = what, nearest


class UnknownPerson(NotUnderstood):
    """Neither an account nor an e-mail address: a name identifies nobody."""

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
        """Keep what is wrong, and what the policy says that it expects."""
        super().__init__(problem)
        self.problem, self.hint, self.limit = problem, hint, limit


class BadInput(NotUnderstood):
    """An input that will not do.

    ``problem``: ``missing``, ``choice``, ``form``, ``long``, ``key``, ``refused`` or ``unasked``.
    ``title``: what people call it, or what does not ask for it. ``expected``: what would do. ``why``: what refuses it.
    """

    def __init__(
        self, name: str, problem: str, *, title: str = "", typed: str = "", expected: str = "", why: str = ""
    ) -> None:
        """Keep which input it is, and what is wrong with it."""
        super().__init__(f"{name}: {problem}")
        self.name, self.problem, self.title = name, problem, title
        self.typed, self.expected, self.why = typed, expected, why


class BadQuestion(NotUnderstood):
    """A ``question`` or an ``answer`` (``what``) that is too long, or where ``limit`` is 0 empty."""

    def __init__(self, what: str, limit: int = 0) -> None:
        """Keep which of them it is, and the most characters where it has more."""
        super().__init__(what)
        self.what, self.limit = what, limit


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

    ``kind``: ``guest``, ``external``, ``bot``, ``deactivated``, ``no_email``, ``odd_email`` (not ASCII), ``taken``,
    ``inactive`` (in ``directory``). ``who``: another account that access is requested for; empty for the own one.
    """

    def __init__(self, kind: str, who: str = "", directory: str = "") -> None:
        """Keep what the account is."""
        super().__init__(f"{kind} in {directory}" if directory else kind)
        self.kind, self.who, self.directory = kind, who, directory


class NotAllowed(JitError):
    """The policy says no; the verdict carries each reason."""

    def __init__(self, verdict: Verdict) -> None:
        """Keep the verdict."""
        super().__init__(", ".join(reason.recorded for reason in verdict.reasons))
        self.verdict = verdict


class LimitReached(JitError):
    """One more than allowed, of ``kind`` (the sentences have them all); ``window`` in seconds."""

    def __init__(self, kind: str, limit: int, window: int = 0) -> None:
        """Keep which limit it is."""
        super().__init__(kind)
        self.kind, self.limit, self.window = kind, limit, window


class AlreadyRequested(JitError):
    """The same person has the same already, and it is not granted yet. ``of_another``: of another than who asks."""

    def __init__(self, request: Request, *, of_another: bool = False) -> None:
        """Keep the request that waits."""
        super().__init__(request.id)
        self.request, self.of_another = request, of_another


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
    """Cannot be extended. ``why`` is ``cap``, ``asked``, ``systems`` or ``changed``; ``latest`` in Unix seconds."""

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
    """The policy grants something else today than what was requested."""

    def __init__(self, request: Request) -> None:
        """Keep the request."""
        super().__init__(request.id)
        self.request = request


class LockedDown(JitError):
    """A lockdown: declared by an operator, or assumed while the lockdowns' value cannot be trusted."""

    def __init__(self, lock: Lock) -> None:
        """Keep the lockdown."""
        super().__init__(lock.system or "everything")
        self.lock = lock


class TerminalDoesNotCount(JitError):
    """Where operators are counted, the account that types (``by``) is nobody. ``why``: empty where it is not bound."""

    def __init__(self, by: str, why: str = "") -> None:
        """Keep the account and the reason."""
        super().__init__(f"{by}: {why or 'not bound'}")
        self.by, self.why = by, why


class WrongCode(JitError):
    """No terminal has this code, or this name, now."""

    def __init__(self, what: str) -> None:
        """Keep what was typed."""
        super().__init__(what)
        self.what = what


class NotLockedDown(JitError):
    """There is no lockdown of that system, or of everything (``system`` is empty)."""

    def __init__(self, system: str, locked: tuple[str, ...]) -> None:
        """Keep what was meant, and what is locked down."""
        super().__init__(system or "everything")
        self.system, self.locked = system, locked


class PolicyMoved(JitError):
    """The workspace decides by another policy than this replica holds."""


class DelegationsChanged(JitError):
    """Who stands in for whom has changed since the groups were read by which it was judged."""


class CouldNotCheck(JitError):
    """A directory did not answer in time, so nothing new is allowed. ``what`` was to be looked up."""

    def __init__(self, what: str) -> None:
        """Keep what could not be looked up."""
        super().__init__(what)
        self.what = what


class IdentityTaken(JitError):
    """Two accounts of the workspace claim one e-mail address; neither may go on before a person decides."""


class Tampered(JitError):
    """A record that failed its integrity check; it is ignored."""

    def __init__(self, id_: str) -> None:
        """Keep whose record it is."""
        super().__init__(id_)
        self.id = id_


class RolledBack(Tampered):
    """A record that is authentic, but older than what is known of its request: somebody rolled it back."""


class Crowded(JitError):
    """More came at once than could be answered in time; nothing was done."""


class StoreAway(JitError):
    """Redis does not answer; nothing was half done, since every change is one script."""
