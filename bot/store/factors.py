"""People's factors (MFA): one record a person, under a MAC, numbered, its secrets encrypted. It fails closed.

A record that is gone, older than one that is known, or without our MAC is a doubt: it proves nothing, raises an alarm,
and only a reset replaces it. So write access to Redis can keep somebody from proving, and prove nothing.

What is known of a record's number: what this process saw, and what the register says, which each process reads each
second and a worker compares with the archive when it starts (see factor_register.py). What remains: a process that has
seen neither a person's last proof nor their last failure, since another one judged it or since it was restarted, takes
the record from before it for the newest. To use that, somebody needs write access to Redis, a code that was just typed,
and the person's Slack session, within the minute or so for which such a code serves.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from redis.asyncio import Redis

from bot.core.errors import StoreAway, Tampered
from bot.core.factors import OFFERED_FOR, EnrolledFactor, EnrolmentOffer, FactorRecord
from bot.core.request import ID_ALPHABET
from bot.store.encoding import away, script, seconds, text
from bot.store.factor_register import TAIL, FactorRegisters
from bot.store.keyring import CannotDecrypt, KeyRing
from bot.store.keys import Keys
from bot.store.types import CommitGuard, CommitParts, ExtraWrite

log = logging.getLogger(__name__)

ID: Final = "factors"
"""What the audit events that the register follows are written under in place of a request's id."""
ATTEMPTS: Final = "factor_attempts"
"""The same for those of which there may be very many: wrong codes."""
ENROLLED: Final = "factor_enrolled"
"""The audit event: a factor was enrolled, or confirmed."""
RESET: Final = "factor_reset"
"""The audit event: all of a person's factors were taken away. The only change to a record that is a doubt."""
FAILED: Final = "factor_failed"
"""The audit event: a code was wrong."""
LOCKED: Final = "factor_locked"
"""The audit event: a code was wrong, and no further one is looked at for a while."""
OFFERED: Final = "factor_offered"
"""The audit event: an operator gave out an enrolment code."""
OFFER_USED: Final = "factor_offer_used"
"""The audit event: the enrolment code was typed."""
OFFER_FAILED: Final = "factor_offer_failed"
"""The audit event: a wrong enrolment code was typed."""
NO_FACTS: Final[Mapping[str, Any]] = MappingProxyType({})
_SEAL: Final = "factors"
_NO_KEY: Final = "the key that sealed it is not among JIT_KEYS here"
_LETTERS: Final = 12
_LONGEST_CODE: Final = 40
_AGAIN: Final = 3600
_ROW: Final = "record|record:#"
_MOST: Final = 50_000
_TRIES: Final = 20


@dataclass(frozen=True)
class KnownFactors:
    """A person's record as it was read at ``now``, Redis' time. ``raw``: as stored, for the guard.

    ``doubt``: why it is not believed, '' where it is. Then ``record`` has no factors, and the newest known number.
    """

    identity: str
    record: FactorRecord
    raw: bytes = field(repr=False)
    now: float
    doubt: str = ""


class FactorStore:
    """The factors of one workspace. ``note`` and ``said`` are the store's. Its verbs raise `StoreAway`."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        ring: KeyRing,
        note: Callable[..., Awaitable[bool]],
        said: Callable[..., tuple[str, ...]],
    ) -> None:
        """Register the script; nothing is sent."""
        self._redis, self._keys, self._ring, self._note, self._said = redis, keys, ring, note, said
        self._write, self._write_both = script(redis, "sealed_value"), script(redis, "factors")
        self.register = FactorRegisters(redis, keys, ring, note)
        self._floors = OrderedDict[str, int]()

    # reading

    async def read(self, identity: str) -> KnownFactors:
        """What is known of a person's factors; a doubt raises an alarm."""
        while True:
            floor = self._floor(identity)
            raw, tail, now = await self._fetched(self._keys.factors(identity))
            await self.register.refresh(tail)
            # What was sent for before a newer one was known may be older than that, and is nobody's doing.
            if self._floor(identity) == floor:
                break
        record, doubt = self._opened(identity, raw, floor)
        if doubt:
            await self._alarm(identity, doubt)
        else:
            self._raise(identity, record)
        return KnownFactors(identity, record, raw, now, doubt)

    async def _fetched(self, key: str) -> tuple[bytes, bytes, float]:
        """The record, how the register ends that was written with it or later, and Redis' time."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.get(key)
            pipe.getrange(self._keys.factor_register, -TAIL, -1)
            time, *found = await away(pipe.execute(raise_on_error=False))
        if isinstance(time, Exception):
            raise StoreAway(type(time).__name__) from time
        raw, tail = (b"" if isinstance(each, Exception) or each is None else each for each in found)
        return raw, tail, seconds(time)

    def _opened(self, identity: str, raw: bytes, floor: int) -> tuple[FactorRecord, str]:
        """What a value says, or one without factors and why it is not believed."""
        none = FactorRecord(revision=floor)
        if not raw:
            return none, "it is gone" if floor else ""
        body, _, tag = text(raw).rpartition("|")
        if self._ring.may_lack_key_of(tag):
            return none, _NO_KEY
        if not self._ring.verify(_SEAL, self._bound(identity, body), tag):
            return none, "it does not have our MAC"
        try:
            record = FactorRecord.model_validate_json(body.partition("|")[2])
        except ValidationError:
            return none, "another version of this product wrote it"
        if record.revision < floor:
            return none, "it is an older one, put back"
        # Both are written at once: one without the other is what somebody left of them.
        return (record, "") if identity in self.register.people else (none, "the register does not know it")

    async def _alarm(self, identity: str, doubt: str) -> None:
        # Where only this process lacks the key, a reset would take away what is right.
        loss = "in this process" if doubt == _NO_KEY else "until they are reset"
        said = f"the factors of {identity} cannot be believed ({doubt}): nothing is proved by them {loss}"
        log.critical("%s", said)
        facts = json.dumps({"alarm": "factors", "said": said}, ensure_ascii=False)
        await self._note("alarm", facts, window=_AGAIN, once=f"{self._keys.factors(identity)} {doubt}", row=_ROW)

    # writing

    def guards_and_ops(self, known: KnownFactors, after: FactorRecord) -> CommitParts:
        """What a proof adds to the commit that it is for: the record is still the one that was read, and the next.

        Raises `Tampered` for a doubt.
        """
        if known.doubt:
            raise Tampered(known.identity)
        if self._is_registered_by(known, after):
            raise ValueError("a commit only spends a proof; `write` enrols, and registers it")
        key = self._keys.factors(known.identity)
        return (CommitGuard("EQUALS", key, text(known.raw)),), (
            ExtraWrite("SET", key, (self._sealed(known.identity, after),)),
        )

    def guarded_by(self, guard: CommitGuard, identity: str) -> bool:
        """Whether it is a guard of this person's record: where it fails, read and judge again."""
        return guard.key == self._keys.factors(identity)

    def committed(self, identity: str, after: FactorRecord) -> None:
        """The commit with this record is written: no older one of this person is believed from here on."""
        self._raise(identity, after)

    async def write(
        self,
        known: KnownFactors,
        after: FactorRecord,
        kind: str,
        facts: Mapping[str, Any],
        rows: Sequence[str] = (),
    ) -> bool:
        """Put the next record in place of the one that was read, with its audit event; False when it moved on.

        Raises `Tampered` for a doubt, which only a reset replaces.
        """
        if known.doubt and kind != RESET:
            raise Tampered(known.identity)
        said = {**facts, "identity": known.identity, "revision": after.revision}
        if known.doubt or self._is_registered_by(known, after):
            written = await self._write_registered(known, after, kind, said, rows)
        else:
            written = await self._write_record(known, after, kind, said, rows)
        if written:
            self._raise(known.identity, after)
        return written

    def _is_registered_by(self, known: KnownFactors, after: FactorRecord) -> bool:
        """Whether the register has to follow this change."""
        return after.enrolment != known.record.enrolment or known.identity not in self.register.people

    async def _write_record(
        self, known: KnownFactors, after: FactorRecord, kind: str, facts: Mapping[str, Any], rows: Sequence[str]
    ) -> bool:
        k, value = self._keys, self._sealed(known.identity, after)
        keys = [*self._saying, k.factors(known.identity)]
        event = await self._event(kind, facts, rows, ATTEMPTS) if kind else ()
        return text(await away(self._write(keys=keys, args=[known.raw, value, k.wake, *event]))) == "WRITTEN"

    async def _write_registered(
        self, known: KnownFactors, after: FactorRecord, kind: str, facts: Mapping[str, Any], rows: Sequence[str]
    ) -> bool:
        k, value = self._keys, self._sealed(known.identity, after)
        keys = [*self._saying, k.factors(known.identity), k.factor_register]
        for _ in range(_TRIES):
            if not self.register.readable:
                raise Tampered(known.identity)
            before, (register, spelled) = self.register.raw, self.register.next({known.identity: after.revision})
            event = await self._event(kind, {**facts, "register": register.revision}, rows, ID)
            args: list[bytes | str] = [known.raw, value, before, spelled, k.wake, *event]
            match text(await away(self._write_both(keys=keys, args=args))):
                case "WRITTEN":
                    self.register.written(register, spelled)
                    return True
                case "MOVED":
                    return False
                case _:
                    await self.register.refresh(whole=True)
        raise StoreAway("the register of factors changes faster than it can be read")

    @property
    def _saying(self) -> tuple[str, str, str, str]:
        return self._keys.audit, self._keys.seq, self._keys.outbox, self._keys.rows

    async def _event(self, kind: str, facts: Mapping[str, Any], rows: Sequence[str], id_: str) -> tuple[str, ...]:
        at = seconds(await away(self._redis.time()))
        return self._said(kind, json.dumps(facts, ensure_ascii=False), at, id_=id_, rows=rows)

    # secrets

    def encrypt(self, identity: str, factor_id: str, secret: SecretStr) -> str:
        """A factor's secret as it is kept: of no use to another person or factor."""
        return self._ring.encrypt(_SEAL, secret.get_secret_value().encode(), self._place(identity, factor_id))

    def decrypt(self, identity: str, factor: EnrolledFactor) -> SecretStr:
        """A factor's secret. Raises `CannotDecrypt`."""
        return SecretStr(self._ring.decrypt(_SEAL, factor.secret, self._place(identity, factor.id)).decode())

    async def re_encrypt(self) -> None:
        """Everybody's secrets under the key that is current now, before the old one is thrown away."""
        await self.register.refresh()
        for identity in sorted(self.register.people):
            for _ in range(_TRIES):
                known = await self.read(identity)
                if known.doubt or self._is_current(known) or await self._write_encrypted(known):
                    break
        await self.register.re_sign()

    def _is_current(self, known: KnownFactors) -> bool:
        tags = (text(known.raw).rpartition("|")[2], *(factor.secret for factor in known.record.factors))
        return not known.raw or all(map(self._ring.is_current, tags))

    async def _write_encrypted(self, known: KnownFactors) -> bool:
        identity, factors = known.identity, known.record.factors
        try:
            again = {each.id: self.encrypt(identity, each.id, self.decrypt(identity, each)) for each in factors}
        except CannotDecrypt as error:
            log.critical("a factor of %s cannot be encrypted under the current key: %s", identity, error)
            return True
        return await self.write(known, known.record.with_secrets(again), "", {})

    # enrolment codes

    async def offer_enrolment(
        self, identity: str, by: str, rows: Sequence[str] = (), facts: Mapping[str, Any] = NO_FACTS
    ) -> str:
        """A code with which the person may enrol a factor once, within a day; one given out before serves no more.

        ``facts``: what else the audit event says. Raises `Tampered` for a doubt.
        """
        code = "".join(secrets.choice(ID_ALPHABET) for _ in range(_LETTERS))
        for _ in range(_TRIES):
            known = await self.read(identity)
            offer = EnrolmentOffer(mac=self._code_mac(identity, code), by=by, until=known.now + OFFERED_FOR)
            if await self.write(known, known.record.with_offer(offer), OFFERED, {**facts, "by": by}, rows):
                return "-".join((code[:4], code[4:8], code[8:]))
        raise StoreAway("the factors change faster than they can be read")

    def is_enrolment_code(self, known: KnownFactors, code: str) -> bool:
        """Whether this is the enrolment code that waits for the person; it stays in the record, and nothing counts."""
        offer = known.record.offer
        return offer is not None and known.now < offer.until and self._is_code(known.identity, code, offer)

    async def take_enrolment(self, identity: str, code: str, by: str, rows: Sequence[str] = ()) -> bool:
        """Whether this is the person's enrolment code; it serves once. Raises `Tampered` for a doubt."""
        for _ in range(_TRIES):
            known = await self.read(identity)
            offer = known.record.offer
            if offer is None or offer.until <= known.now:
                return False
            right = self._is_code(identity, code, offer)
            after = known.record.without_offer() if right else known.record.with_offer_tried()
            kind = OFFER_USED if right else OFFER_FAILED
            if await self.write(known, after, kind, {"by": by, "offered_by": offer.by}, rows):
                return right
        raise StoreAway("the factors change faster than they can be read")

    def _is_code(self, identity: str, code: str, offer: EnrolmentOffer) -> bool:
        typed = "".join(code[:_LONGEST_CODE].upper().replace("-", "").split())
        # Only ASCII: half of a surrogate pair, which JSON can hold, cannot be encoded.
        return typed.isascii() and self._ring.verify("enrolment", self._bound(identity, typed), offer.mac)

    def _code_mac(self, identity: str, code: str) -> str:
        return self._ring.mac("enrolment", self._bound(identity, code))

    # how it is stored

    def _sealed(self, identity: str, record: FactorRecord) -> str:
        # The script takes a value that is there already for the same write sent again. Two wrong codes at one moment
        # make the same record: with a random part only one of them is written, and the other is counted after it.
        body = f"{secrets.token_hex(8)}|{record.model_dump_json(exclude_defaults=True)}"
        return f"{body}|{self._ring.mac(_SEAL, self._bound(identity, body))}"

    def _bound(self, identity: str, body: str) -> bytes:
        return f"{self._keys.factors(identity)}\0{identity}\0{body}".encode()

    def _place(self, identity: str, factor_id: str) -> bytes:
        return f"{self._keys.factors(identity)}\0{identity}\0{factor_id}".encode()

    def _floor(self, identity: str) -> int:
        return max(self._floors.get(identity, 0), self.register.people.get(identity, 0))

    def _raise(self, identity: str, record: FactorRecord) -> None:
        if record.revision >= self._floor(identity) and record.revision:
            self._floors[identity] = record.revision
            self._floors.move_to_end(identity)
            while len(self._floors) > _MOST:
                self._floors.popitem(last=False)
