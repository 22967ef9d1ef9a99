"""What a Redis server answers instead of doing it, in the contract's words; it connects to nothing."""

from __future__ import annotations

import re

from redis.exceptions import (
    BusyLoadingError,
    ExecAbortError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

_COMMAND = re.compile(r"run the '([a-z0-9_.|-]+)' command")
_KEYS = "~jit:*"
_WHY = {
    "NOREPLICAS": "it takes no writes while too few replicas are connected (min-replicas-to-write)",
    "MISCONF": "it takes no writes while it cannot write to its disk (see its log)",
    "BUSY": "a script keeps it busy (SCRIPT KILL ends one that wrote nothing)",
    "NOAUTH": "it wants a user and a password in the url",
}


def forbidden(error: Exception) -> str:
    """The rule that would allow what was refused for a want of rights; empty for any other refusal."""
    said = str(error)
    if not isinstance(error, NoPermissionError) and not (isinstance(error, ExecAbortError) and "NOPERM" in said):
        return ""
    found = _COMMAND.search(said)
    return f"+{found[1]}" if found else _KEYS


def absent(error: Exception) -> bool:
    """Whether the server has no such command: it was renamed, or a managed service took it away."""
    return isinstance(error, ResponseError) and str(error).lower().startswith(("unknown command", "unknown subcommand"))


def why(error: Exception) -> str:
    """Why the server did not do it. What it quotes of a command is left out, since that may be a secret."""
    if rule := forbidden(error):
        return f"the bot's user lacks {rule}"
    if absent(error):
        return "the command is renamed or disabled on this server"
    match error:
        case OutOfMemoryError():
            return "its memory is full (maxmemory)"
        case ReadOnlyError():
            return "it is a replica"
        case BusyLoadingError():
            return "it is still loading its data"
    if str(error).startswith("There was an error trying to save the ACLs"):
        return "the server could not write it, see its log and whom the file and its directory belong to"
    return _WHY.get(str(error).partition(" ")[0], type(error).__name__)


def no_writes(error: Exception) -> bool:
    """Whether the server takes no data just now, whoever writes."""
    return isinstance(error, OutOfMemoryError | ReadOnlyError) or str(error).startswith(("NOREPLICAS", "MISCONF"))
