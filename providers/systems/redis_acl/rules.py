"""What a role may allow on a Redis or Valkey: strict words in, ACL rules out. It connects to nothing.

Refused is what could undo its own end or reach past the data: the ACL itself, configuration, replication, modules,
server-side code that others run, and commands that heed no key pattern (FLUSHALL, SWAPDB, MIGRATE). A category
never brings them along: each rule set takes @dangerous, @admin and @scripting away again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from pydantic import Field, field_validator, model_validator

from providers.systems.base import Frozen, Refused

_RULE = re.compile(r"([+-])(@[a-z]+|[a-z][a-z0-9_.-]*(?:\|[a-z0-9_-]+)?)")
_PATTERN = re.compile(r"[!-~]{1,200}")
_PREFIX = re.compile(r"[!-)+->@-Z^-~]{1,200}")
"""A pattern without signs that stand for others: `*?[]\\`."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CATEGORIES = _words(
    "read write keyspace string hash list set sortedset stream bitmap hyperloglog geo pubsub connection "
    "transaction blocking json search timeseries bloom cuckoo topk cms tdigest"
)
_REFUSED = _words(
    # who may do what, and as whom
    "acl auth hello reset "
    # the server itself, its files, its copies
    "asking bgrewriteaof bgsave cluster clusterscan commandlog config debug failover hotkeys latency migrate module "
    "monitor pfdebug pfselftest psync replconf replicaof save sentinel shutdown slaveof slowlog sync "
    # code that stays, or that keeps the server from hearing that the end has come
    "eval eval_ro evalsha evalsha_ro fcall fcall_ro function script tfcall tfcallasync tfunction "
    # what heeds no key pattern
    "flushall flushdb restore restore-asking swapdb"
)
_MODULES = _words("json ft ts bf cf cms topk tdigest")
"""Of commands with a dot in their name, whose data modules': another's may run code."""
_LOOKS = _words("lastsave role")
"""Of @admin, what only looks."""
_CLIENT = frozenset({"client|getname", "client|id", "client|info", "client|setinfo", "client|setname"})
_READING = _words("@read @connection ping echo info keys scan get mget exists ttl pttl type strlen hget hgetall lrange")
_TAKEN_AWAY = ("-@dangerous", "-@admin", "-@scripting")


class RedisParams(Frozen):
    """What a role's ``grants`` may say: which commands, on which keys and channels."""

    keys: tuple[str, ...] = Field(default=(), max_length=50)
    """Patterns like ``app:*``."""
    prefixes: tuple[str, ...] = Field(default=(), max_length=50)
    """How keys begin, like ``app:``, to the letter; no sign in them stands for others."""
    commands: tuple[str, ...] = Field(min_length=1, max_length=100)
    """Categories and commands, ``+@read``, ``+info``, ``-keys``; a minus wins wherever it stands."""
    channels: tuple[str, ...] = Field(default=(), max_length=50)
    """Patterns of pub/sub channels."""

    @field_validator("keys", "channels")
    @classmethod
    def _plain(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        """No blanks: a pattern is one word of an ACL file."""
        for pattern in patterns:
            if not _PATTERN.fullmatch(pattern):
                raise ValueError(f"{pattern!r} is no pattern: 1 to 200 visible ASCII characters, without blanks")
        return patterns

    @field_validator("prefixes")
    @classmethod
    def _literal(cls, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        for prefix in prefixes:
            if not _PREFIX.fullmatch(prefix):
                raise ValueError(
                    f"{prefix!r} is no prefix: 1 to 200 visible ASCII characters, without blanks and *?[]\\"
                )
        return prefixes

    @field_validator("commands")
    @classmethod
    def _allowed(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        for rule in rules:
            _judge(rule)
        return rules

    @model_validator(mode="after")
    def _opens(self) -> RedisParams:
        if not any(rule.startswith("+") for rule in self.commands):
            raise ValueError("commands allow nothing: add at least one with a plus, such as +@read")
        return self

    @property
    def patterns(self) -> tuple[str, ...]:
        """The keys that it opens, as patterns."""
        return (*self.keys, *(f"{prefix}*" for prefix in self.prefixes))

    @property
    def writes(self) -> bool:
        """Whether anything but reading may be allowed; what is not known to only read counts as writing."""
        return not all(rule[1:] in _READING for rule in self.commands if rule.startswith("+"))


def rules(params: RedisParams) -> tuple[str, ...]:
    """The arguments of ``ACL SETUSER`` behind ``reset``: patterns, categories, what is taken away, commands."""
    patterns = (*(f"~{key}" for key in params.patterns), *(f"&{channel}" for channel in params.channels))
    broad = [rule for rule in params.commands if rule[1] == "@"]
    single = [rule for rule in params.commands if rule[1] != "@"]
    return (*patterns, *_minus_last(broad), *_TAKEN_AWAY, *_minus_last(single))


def never(params: RedisParams, category: str, commands: Sequence[str]) -> None:
    """Raise `Refused` where a command of the role is in a category that this very server has and we never grant.

    A newer server has commands that the list above does not know, and names their category itself.
    """
    for rule in params.commands:
        command = rule[1:]
        if rule[0] == "-" or command[0] == "@" or command in _CLIENT | _LOOKS:
            continue
        whole = command.partition("|")[0]
        if any(each in {command, whole} or each.startswith(f"{command}|") for each in commands):
            raise Refused(f"{rule} is never granted: this server has it in @{category}")


def mark(name: str, params: RedisParams) -> str:
    """What stands among a user's password hashes to say that this order made it, with these rules.

    It has the shape of a SHA-256 but is a digest of another kind, so nobody knows a password behind it.
    """
    told = "\0".join((name, *rules(params)))
    return hashlib.blake2s(told.encode(), person=b"jitmark1").hexdigest()


def origin(name: str) -> str:
    """The like of `mark` that says only that an order made the user of this name: provable when its rules are lost."""
    return hashlib.blake2s(name.encode(), person=b"jitmark2").hexdigest()


def _minus_last(some: Sequence[str]) -> list[str]:
    return sorted(some, key=lambda rule: rule[0] == "-")


def _judge(rule: str) -> None:
    found = _RULE.fullmatch(rule)
    if found is None:
        raise ValueError(f"{rule!r} is no rule: write +@category, +command, +command|subcommand, or the same with -")
    sign, what = found.groups()
    if what.startswith("@"):
        if what[1:] not in _CATEGORIES:
            raise ValueError(f"{rule} is not granted: use {', '.join(f'@{name}' for name in sorted(_CATEGORIES))}")
    elif sign == "+" and not _harmless(what):
        raise ValueError(f"{rule} is never granted: it could outlive its end, or reaches past the keys")


def _harmless(command: str) -> bool:
    whole = command.partition("|")[0]
    if whole == "client":
        return command in _CLIENT
    module, dot, rest = whole.partition(".")
    return whole not in _REFUSED and (not dot or (module in _MODULES and rest != "config"))
