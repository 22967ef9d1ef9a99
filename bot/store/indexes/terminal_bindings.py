"""Binds a terminal's account to the person who confirmed it in Slack: with a MAC, and to be confirmed again in time.

A binding lets an account of a machine count as a person in a quorum of operators. Its MAC is over the workspace and the
account, so write access to Redis cannot forge one. An older one that is restored is valid until its own end.
"""

from __future__ import annotations

import secrets

from bot.core.frozen import Frozen
from bot.core.request import ID_ALPHABET, Person
from bot.local_account import OsAccount
from bot.store.encoding import away, text
from bot.store.sealed_json import SealedJson
from bot.store.store import Store

CODE_FOR = 600
"""Seconds within which a code is to be typed into Slack."""
BOUND_FOR = 90 * 86_400
"""Seconds after which a binding is to be confirmed again."""
_SEAL = "terminal"
_LETTERS = 8


class Terminal(Frozen):
    """An account of a machine. ``by`` is ``cli:<user>@<host>``."""

    by: str
    uid: int
    machine: str


class Binding(Frozen):
    """Whose it is, until when (Unix seconds of the store's clock)."""

    terminal: Terminal
    person: Person
    until: float


class Terminals:
    """The terminals of one workspace. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._sealed = SealedJson(_SEAL, store.workspace, store.ring, store.forged_values)

    async def offer(self, account: OsAccount) -> str:
        """A code, once: whoever types it into Slack says that the account is theirs."""
        code = "".join(secrets.choice(ID_ALPHABET) for _ in range(_LETTERS))
        key = self._keys.terminal_code(code)
        await away(self._redis.set(key, self._sealed.seal(key, terminal_of(account)), ex=CODE_FOR))
        return f"{code[:4]}-{code[4:]}"

    async def offered(self, code: str) -> Terminal | None:
        """The account that a code is for; None for one that is wrong, used or too old. It serves once."""
        key = self._keys.terminal_code("".join(code.upper().split("-")))
        return self._sealed.open(key, text(await away(self._redis.getdel(key))), Terminal)

    async def bind(self, binding: Binding) -> None:
        """It counts as that person, until then."""
        key = self._keys.terminal(binding.terminal.by)
        await away(self._redis.set(key, self._sealed.seal(key, binding), ex=BOUND_FOR))

    async def of(self, by: str) -> Binding | None:
        """Whose the account is; None where nobody said so, it is over, or it was not written by us."""
        key = self._keys.terminal(by)
        binding = self._sealed.open(key, text(await away(self._redis.get(key))), Binding)
        if binding is None or binding.terminal.by != by or binding.until <= await self._store.now():
            return None
        return binding

    async def unbind(self, by: str) -> None:
        """It counts as nobody."""
        await away(self._redis.delete(self._keys.terminal(by)))


def terminal_of(account: OsAccount) -> Terminal:
    """An account as it is kept."""
    return Terminal(by=account.by, uid=account.uid, machine=account.machine)
