"""Whether the bot's user may do what the verbs do: each right is tried for real, on a name that nobody has.

An attempt finds what no list of rules tells: a command that is renamed, that a managed service took away, or whose
rule was taken back by a later one. None of them changes anything, but that the ACL file is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import redis.asyncio as aioredis
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, TimeoutError  # noqa: A004  # redis-py's

from providers.systems.redis_acl.errors import absent, forbidden, no_writes

_NOBODY = "jit-check"
_KEY = "jit:fence:check"
KEYS = "~jit:*"
ATTEMPTS: Mapping[str, tuple[str, ...]] = {
    "+acl|whoami": ("ACL", "WHOAMI"),
    "+acl|users": ("ACL", "USERS"),
    "+acl|list": ("ACL", "LIST"),
    "+acl|cat": ("ACL", "CAT", "admin"),
    "+acl|getuser": ("ACL", "GETUSER", _NOBODY),
    # A rule that no version takes: refused after the right to set rules was found, and before anything is set.
    "+acl|setuser": ("ACL", "SETUSER", _NOBODY, "no-such-rule"),
    "+acl|deluser": ("ACL", "DELUSER", _NOBODY),
    "+acl|save": ("ACL", "SAVE"),
    "+client|kill": ("CLIENT", "KILL", "USER", _NOBODY),
    "+client|info": ("CLIENT", "INFO"),
    "+info": ("INFO",),
    "+set": ("SET", _KEY, "1", "PX", "1"),
    "+get": ("GET", _KEY),
    "+del": ("DEL", _KEY),
    "+watch": ("WATCH", _KEY),
    "+unwatch": ("UNWATCH",),
    # Outside of a transaction: it is refused as such by a server that would let us.
    "+exec": ("EXEC",),
    "+multi": ("MULTI",),
}
"""Each rule that the bot's user needs, and the attempt that shows it."""


@dataclass(frozen=True)
class Tried:
    """What came of it. ``lacks``: rules; ``gone``: commands that this server has not; ``failed``: by rule, why."""

    lacks: tuple[str, ...]
    gone: tuple[str, ...]
    failed: Mapping[str, Exception]

    @property
    def blocked(self) -> Exception | None:
        """Why the server takes no writes just now."""
        return next((error for error in self.failed.values() if no_writes(error)), None)


async def tried(client: aioredis.Redis) -> Tried:
    """Make every attempt on a connection of its own, which may be left in any state. Raises what a connection does."""
    lacks, gone, failed = list[str](), list[str](), dict[str, Exception]()
    for rule, words in ATTEMPTS.items():
        try:
            await client.execute_command(*words)  # type: ignore[no-untyped-call]  # it has no types
        except (AuthenticationError, ConnectionError, TimeoutError):
            raise
        except RedisError as error:
            if missing := forbidden(error):
                lacks.append(KEYS if missing == KEYS else rule)
            elif absent(error):
                gone.append(" ".join(words[:2]) if words[0] in {"ACL", "CLIENT"} else words[0])
            else:
                failed[rule] = error
    return Tried(tuple(dict.fromkeys(lacks)), tuple(gone), failed)
