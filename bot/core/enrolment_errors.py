"""Refusals about setting up or resetting second factors, as types with facts; it words nothing for people.

::

    JitError (errors.py)
    └── CannotEnrol
        ├── NobodyBound         no account is bound to the e-mail address
        ├── NoEnrolmentCode     no enrolment code waits for this person: none was given out, or it is used or too old
        ├── WrongEnrolmentCode  an enrolment code waits, and this is not it
        ├── WrongFirstCode      the first code of a new factor does not prove it
        ├── EnrolmentLocked     too many wrong codes in a row: none is read before a time
        ├── EnrolmentOver       this factor cannot be confirmed any more: another one was begun, or it was reset
        ├── FactorsUnreadable   what is stored of the person's factors cannot be trusted
        ├── TooManyFactors      the person has as many as one can have
        ├── NothingInstalled    no authenticator app can be set up in this installation
        ├── OwnReset            operators reset the factors of others only
        ├── NothingToReset      the person has no factor and no enrolment code
        └── OtherReason         another operator proposed the reset, and for another reason
"""

from __future__ import annotations

from bot.core.errors import JitError


class CannotEnrol(JitError):
    """Nothing was set up or reset."""


class NobodyBound(CannotEnrol):
    """Nobody's: an address that is bound to no account, or no address."""

    def __init__(self, address: str) -> None:
        """Keep what was typed."""
        super().__init__(address)
        self.address = address


class NoEnrolmentCode(CannotEnrol):
    """An operator has to give one out first. ``void``: whether wrong tries took away the one that there was."""

    def __init__(self, *, void: bool = False) -> None:
        """Keep what became of it."""
        super().__init__("void" if void else "none")
        self.void = void


class WrongEnrolmentCode(CannotEnrol):
    """Counted. ``tries_left``: before the code that waits serves no more."""

    def __init__(self, tries_left: int) -> None:
        """Keep how many more tries there are."""
        super().__init__(f"{tries_left} left")
        self.tries_left = tries_left


class WrongFirstCode(CannotEnrol):
    """Counted. ``tries_left``: before a pause."""

    def __init__(self, tries_left: int) -> None:
        """Keep how many more tries there are."""
        super().__init__(f"{tries_left} left")
        self.tries_left = tries_left


class EnrolmentLocked(CannotEnrol):
    """No code of this person is read before ``until``, Unix seconds."""

    def __init__(self, until: float) -> None:
        """Keep until when."""
        super().__init__(f"until {until:.0f}")
        self.until = until


class EnrolmentOver(CannotEnrol):
    """It has to be begun again."""


class FactorsUnreadable(CannotEnrol):
    """Only a reset helps. ``why``: in words."""

    def __init__(self, why: str) -> None:
        """Keep why."""
        super().__init__(why)
        self.why = why


class TooManyFactors(CannotEnrol):
    """``most``: how many there can be."""

    def __init__(self, most: int) -> None:
        """Keep how many."""
        super().__init__(str(most))
        self.most = most


class NothingInstalled(CannotEnrol):
    """``kind``: of the factor that is missing."""

    def __init__(self, kind: str) -> None:
        """Keep which."""
        super().__init__(kind)
        self.kind = kind


class OwnReset(CannotEnrol):
    """Two others have to."""


class NothingToReset(CannotEnrol):
    """``address``: whose."""

    def __init__(self, address: str) -> None:
        """Keep whose."""
        super().__init__(address)
        self.address = address


class OtherReason(CannotEnrol):
    """``by`` and ``reason``: of the proposal that stands."""

    def __init__(self, by: str, reason: str) -> None:
        """Keep the proposal."""
        super().__init__(by)
        self.by, self.reason = by, reason
