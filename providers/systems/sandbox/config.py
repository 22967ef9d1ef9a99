"""What the sandbox is told: where its doors are kept, what a role opens, and what goes wrong by script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from providers.systems.base import Frozen


class SandboxFault(Frozen):
    """One scripted failure."""

    verb: Literal[
        "check", "resolve", "inspect", "grant", "revoke", "verify", "list_access", "reveal", "extend", "close", "any"
    ]
    does: Literal["slow", "refuse", "unsure", "crash before", "crash after", "late"]
    """``late``: the call ends as unsure at once, its effect lands ``seconds`` later, or at `Sandbox.land`.

    A crash before or after the effect is a real SIGKILL of this process where doors are kept in a directory
    (they outlive it), and `Unsure` where they are kept in memory.
    """
    seconds: float | None = None
    times: int | None = Field(default=None, ge=1)
    """How often, counted across processes that share a directory; None for always."""
    share: float = Field(default=1.0, ge=0, le=1)
    """The fraction of calls that it meets, drawn with the config's seed."""
    door: str | None = None
    """Only calls about this door."""


class SandboxConfig(Frozen):
    """Where the doors are kept, and what goes wrong with them."""

    id: str = "sandbox"
    """The system's identity."""
    path: str | None = None
    """A directory that several processes share (``~`` is the user's home); in memory when not given.

    A file ``faults.json`` in it (a list of faults) is read anew at each call and comes before ``faults``.
    """
    faults: tuple[SandboxFault, ...] = ()
    seed: int = 0
    accounts: Mapping[str, Sequence[str]] | None = None
    """The standing accounts by principal key, for shared grants; by default everyone has one, named by the key."""
    settles_within: float = Field(default=1.0, gt=0)


class SandboxParams(Frozen):
    """One door."""

    door: str = Field(min_length=1, max_length=200)
    shared: bool = False
    """Opens it for the account that the person has already, rather than for one of the order's own."""
    secret: bool = False
    """The order's own account has a password, which `Sandbox.reveal` makes."""
    write: bool = True
