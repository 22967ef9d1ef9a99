"""Temporary ACL users on one Redis (6.2 or later) or Valkey server; never touches a user that it did not make.

The bot's own user needs ``+acl +client|kill +client|info +info +set +get +del +watch +unwatch +multi +exec ~jit:*``.
Who holds ``+acl`` can give themself everything, so its password is a master key: keep it to the worker.

ACLs are not replicated and, without an ``aclfile``, do not survive a restart: point this at the primary. The
server's identity is a disabled ACL user ``jit-target-…``, which no temporary user can reach; where there is no
``aclfile`` it would be lost with a restart, so there the config must give an ``id``. How a failover is told from a
restart is in `server`.

A grant that comes late is stopped on the server: it runs only while its fence, a key with a short TTL that every
revoke takes away, still stands. A revoke writes no data before the user is gone. Native expiry: none.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr
from redis.exceptions import ResponseError

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
from providers.systems.redis_acl.checking import checked
from providers.systems.redis_acl.config import RedisConfig
from providers.systems.redis_acl.errors import why
from providers.systems.redis_acl.rules import RedisParams, mark, never, origin, rules
from providers.systems.redis_acl.server import KnownServer, recorded
from providers.systems.redis_acl.session import TARGET, AclSession

_OURS = re.compile(r"jit-(j-[2-9a-hj-np-z]{4,8})-([0-9]{1,2})")


class RedisAcl:
    """The provider ``redis``."""

    Config: ClassVar[type[Frozen]] = RedisConfig
    Params: ClassVar[type[Frozen]] = RedisParams

    def __init__(self, config: RedisConfig) -> None:
        """Prepare a client; nothing is connected."""
        self._config = config
        self._session = AclSession(config)

    @property
    def settles_within(self) -> float:
        """A whole verb has three timeouts, and its fence falls before that."""
        return self._config.timeout * 3

    @classmethod
    def capabilities(cls, params: Mapping[str, Json]) -> Capabilities:
        """A user of its own, with a password, cut off at the end; nothing closes it by itself."""
        return Capabilities(
            own_principal=True,
            issues_secret=True,
            kills_sessions=True,
            native_expiry=False,
            grantor_scoped=True,
            can_write=RedisParams.model_validate(params).writes,
            can_extend=True,
        )

    @classmethod
    def consequence(cls, params: Mapping[str, Json]) -> str:
        """Commands and keys."""
        wanted = RedisParams.model_validate(params)
        keys = ", ".join(wanted.patterns) or "no keys"
        ability = "can write" if wanted.writes else "read only"
        return f"opens a Redis login: {' '.join(wanted.commands)} on {keys}, {ability}"

    async def check(self) -> Health:
        """Reach the server, its identity, and the bot's rights."""
        return await checked(self._session, self._config.id)

    async def resolve(self, principal: Principal, params: Mapping[str, Json], order_id: str) -> Subject:
        """A user of the order's own."""
        RedisParams.model_validate(params)
        return Subject(native="jit-" + order_id.lower().replace(".", "-"), own=True)

    def entitlements(self, order: Order) -> Sequence[str]:
        """Nothing is shared."""
        return ()

    async def inspect(self, order: Order) -> Prior:
        """The name must be free, and the rules such as this server may grant. Which server it is, is recorded."""
        async with self._session.talk("inspect"):
            await self._be_at(order.target)
            self._mine_or_none(order, await self._session.user(order.subject.native))
            for category in ("admin", "scripting"):
                never(RedisParams.model_validate(order.params), category, await self._session.acl("CAT", category))
            return Prior(present=False, facts=(await self._session.seen()).facts())

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        """Make the user, enabled and without a usable password; `reveal` makes one."""
        params, name = RedisParams.model_validate(order.params), order.subject.native
        async with self._session.talk("grant"):
            await self._be_at(order.target)
            here = await self._be_the(name, recorded(prior, None))
            user = self._mine_or_none(order, await self._session.user(name))
            if user is None:
                made = ("reset", "resetchannels", "on", *_marks(order), *rules(params))
                await self._session.fenced(name, *made)
            with self._session.made(f"the ACL user {name}"):
                user = await self._session.user(name)
                await self._session.save()
            if user is None:
                raise Unsure(f"the ACL user {name} was made and is gone again")
            return Receipt(native=name, facts={"rules": _fingerprint(user), **here.facts()})

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        """Delete the user, which cuts its connections off. Ours is what carries our mark, even if changed since.

        ``nopass`` and ``resetpass`` clear the mark with the passwords: then the receipt proves it, on the server that
        it was made on.
        """
        name = order.subject.native
        async with self._session.talk("revoke"):
            await self._be_at(order.target)
            user = await self._session.user(name)
            if user is not None and not _marked(order, user) and not await self._made_here(order, receipt):
                return Outcome(presence=Presence.FOREIGN, kept=f"the ACL user {name} of another hand")
            return await self._closed(name, user is not None, _marks(order), recorded(prior, receipt))

    async def verify(self, order: Order, receipt: Receipt | None) -> Presence:
        """Read the user and compare its rules with the receipt's fingerprint; on another server that says nothing."""
        async with self._session.talk("verify"):
            await self._be_at(order.target)
            presence = _presence(order, receipt, await self._session.user(order.subject.native))
            then = recorded(None, receipt)
            if presence is Presence.ABSENT and then is not None:
                await self._be_the(order.subject.native, then)
            return presence

    async def list_access(self) -> Sequence[ExistingAccess]:
        """Every ACL user, its rules as the entitlement; ours are told by name."""
        async with self._session.talk("list"):
            lines: list[str] = await self._session.acl("LIST")
        return [_standing(line) for line in lines if not line.split(" ", 2)[1].startswith(TARGET)]

    async def close_orphan(self, standing: ExistingAccess) -> Outcome:
        """Delete a user of an order's name that bears the mark of its origin; older ones have none, and are left."""
        name = standing.native
        async with self._session.talk("close"):
            user = await self._session.user(name)
            if user is not None and not (_OURS.fullmatch(name) and origin(name) in user["passwords"]):
                return Outcome(presence=Presence.FOREIGN, kept=f"the ACL user {name}, which bears no mark of ours")
            return await self._closed(name, user is not None, (f"#{origin(name)}",), None)

    def connect(self, order: Order, receipt: Receipt) -> str:
        """The client's command; it asks for the password."""
        return self._how(order.subject.native)

    async def extend(self, order: Order, receipt: Receipt) -> Receipt:
        """No user ends by itself here, so a later end changes nothing; one that is gone or changed has none."""
        if await self.verify(order, receipt) is not Presence.PRESENT:
            raise Refused(f"the user {order.subject.native} is gone, or was changed by another hand")
        return receipt

    async def reveal(self, order: Order, receipt: Receipt) -> Secret:
        """A new password. The one before is dead, and whoever is connected by it is cut off."""
        name, password = order.subject.native, secrets.token_urlsafe(32)
        async with self._session.talk("reveal"):
            await self._be_at(order.target)
            if _presence(order, receipt, await self._session.user(name)) is not Presence.PRESENT:
                raise Refused(f"the ACL user {name} is gone or was changed by another hand")
            hashed = hashlib.sha256(password.encode()).hexdigest()
            await self._session.fenced(name, "resetpass", *_marks(order), f"#{hashed}")
            with self._session.made(f"a password of {name}, which nobody has seen,"):
                await self._session.say("CLIENT", "KILL", "USER", name)
                await self._session.save()
        return Secret(username=name, password=SecretStr(password), how=self._how(name))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    # the parts of verbs

    async def _be_at(self, target: str) -> None:
        found = self._config.id or await self._session.instance()
        if found != target:
            raise Refused(f"this Redis is {found or 'without an identity'}, and the order is for {target}")

    async def _made_here(self, order: Order, receipt: Receipt | None) -> bool:
        """Whether the receipt proves that a grant of this order made its user, on the server that answers now."""
        if receipt is None or not receipt.ours or receipt.native != order.subject.native:
            return False
        then = recorded(None, receipt)
        return then is not None and await self._session.recognized(then) is not None

    async def _be_the(self, name: str, then: KnownServer | None) -> KnownServer:
        """The server that answers. Raises `Refused` where it is another one: the user may be on that one still."""
        here = await self._session.recognized(then)
        if here is None:
            raise Refused(_elsewhere(name, then or KnownServer(run_id="")))
        return here

    async def _closed(self, name: str, there: bool, marks: Sequence[str], then: KnownServer | None) -> Outcome:
        """The user gone, with all its sessions; then what may fail without letting anybody in."""
        notes, killed = list[str](), await self._session.shut(name, *marks) if there else 0
        if isinstance(killed, Exception):
            notes.append(f"CLIENT KILL did not count the sessions, which ended with the user: {why(killed)}")
            killed = 0
        here = then is None or await self._session.recognized(then)
        if there or here:
            notes.append(await self._session.unfence(name))
            await self._saved_without(name, killed)
        if then is not None and not here:
            raise Refused(_elsewhere(name, then))
        left = await self._session.user(name)
        presence = Presence.ABSENT if left is None else Presence.FOREIGN
        return Outcome(presence=presence, killed=killed, detail="; ".join(note for note in notes if note))

    async def _saved_without(self, name: str, killed: int) -> None:
        """The ACL file too is without the user: from an older one the next restart would make it again."""
        try:
            await self._session.save()
        except ResponseError as error:
            raise Refused(
                f"the ACL user {name} is deleted ({killed} sessions ended), but the ACL file may still have it, and a "
                f"restart or ACL LOAD would bring it back: ACL SAVE failed ({why(error)})"
            ) from error

    def _mine_or_none(self, order: Order, user: dict[str, Any] | None) -> dict[str, Any] | None:
        if user is not None and not _marked(order, user):
            raise Refused(f"an ACL user {order.subject.native} of another hand exists already")
        return user

    def _how(self, name: str) -> str:
        url = urlsplit(self._config.url.get_secret_value())
        host, _, port = self._config.address.partition(":")
        if url.scheme == "unix" and not host:
            where = f"-s {shlex.quote(url.path)}"
        else:
            where = f"-h {shlex.quote(host or url.hostname or 'localhost')} -p {port or url.port or 6379}"
            where += " --tls" if url.scheme == "rediss" else ""
        return f"redis-cli {where} --user {name} --askpass"


def _elsewhere(name: str, then: KnownServer) -> str:
    unproved = "" if then.instance else ", or that one was restarted without an aclfile, which looks the same"
    return (
        f"another server answers here now{unproved}: the ACL user {name} may remain on {then.place}. "
        f"Run `ACL DELUSER {name}` there, or point the url at it again"
    )


def _marks(order: Order) -> tuple[str, str]:
    """Two that nobody can log in by: one is proved by the order, the other by the name alone, once no order is left."""
    name = order.subject.native
    return f"#{mark(name, RedisParams.model_validate(order.params))}", f"#{origin(name)}"


def _marked(order: Order, user: Mapping[str, Any]) -> bool:
    return mark(order.subject.native, RedisParams.model_validate(order.params)) in user["passwords"]


def _presence(order: Order, receipt: Receipt | None, user: Mapping[str, Any] | None) -> Presence:
    if user is None:
        return Presence.ABSENT
    logins = set(user["passwords"]) - {known.removeprefix("#") for known in _marks(order)}
    ours = _marked(order, user) and len(logins) <= 1 and "nopass" not in user["flags"]
    same = receipt is None or receipt.facts.get("rules") == _fingerprint(user)
    return Presence.PRESENT if ours and same else Presence.FOREIGN


def _fingerprint(user: Mapping[str, Any]) -> str:
    """Of everything but passwords, as the server tells it back, word by word and sorted.

    Versions differ in how they write the same rules, and Redis 7.0 puts them in another order after a restart.
    """
    told = {key: _sorted(value) for key, value in user.items() if key != "passwords"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _sorted(value: Any) -> Any:
    if isinstance(value, str):
        return sorted(value.split())
    return sorted(value, key=str) if isinstance(value, list) else value


def _standing(line: str) -> ExistingAccess:
    """From a line ``user NAME on #hash ~keys +rules`` of the ACL list, without the hashes."""
    _, name, *words = line.split(" ")
    found = _OURS.fullmatch(name)
    order = f"{found[1].upper()}.{found[2]}" if found else None
    return ExistingAccess(native=name, entitlement=" ".join(word for word in words if word[:1] != "#"), order=order)
