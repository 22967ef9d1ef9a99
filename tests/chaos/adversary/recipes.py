"""What somebody who knows the bot does to Redis on purpose: several writes that belong together.

Each returns when its writes are made; what comes of them is judged elsewhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.chaos.adversary.findings import ALL_OF_IT
from tests.chaos.adversary.kinds import ids_in
from tests.chaos.adversary.site import APPROVERS, AUDIT, CHANNEL, STAFF, TEAM, TRAP
from tests.chaos.adversary.writer import Writer

Recipe = Callable[[Writer], Awaitable[None]]
_NOTED = ("record", "found", "lockdown", "policy", "leaving", "forgotten", "digest", "insights", "tampered")
"""What is told of the workspace, by the first word of the audience."""


async def an_older_record(writer: Writer) -> None:
    """ENDED → GRANTING, DENIED → PENDING: a record that was ours, and due now."""
    if not (ids := await writer.ids()):
        return
    id_ = writer.dice.choice(ids)
    past = writer.records(id_)
    at, dump = writer.dice.choice(past)
    await writer.restore(writer.keys.record(id_), dump)
    await writer.due_now(id_)
    writer.note("record", "put back, and due", f"{id_} as it was {time.time() - at:.1f} s ago", id_)


async def an_older_record_again_and_again(writer: Writer) -> None:
    """The first record of a request that has moved on, ten times within a moment."""
    ids = [id_ for id_ in await writer.ids() if len(writer.records(id_)) > 1]
    if not ids:
        return
    id_ = writer.dice.choice(ids)
    _, dump = writer.dice.choice(writer.records(id_)[:-1])
    for _ in range(10):
        await writer.restore(writer.keys.record(id_), dump)
        await writer.due_now(id_)
    writer.note("record", "put back ten times, and due", id_, id_)


async def all_of_a_request(writer: Writer) -> None:
    """Every key that names a request, as of one earlier moment."""
    if not writer.wholes or not (ids := await writer.ids()):
        return
    at, whole = writer.dice.choice(list(writer.wholes))
    id_ = writer.dice.choice(ids)
    named = {key: dump for key, dump in whole.items() if id_ in ids_in(key)}
    if not named:
        return
    for key, dump in named.items():
        await writer.restore(key, dump)
    await writer.due_now(id_)
    writer.note("record", ALL_OF_IT, f"{id_} as it was {time.time() - at:.1f} s ago", id_)


async def everything(writer: Writer) -> None:
    """The whole store as of one earlier moment, as from a backup."""
    if not writer.bold or not writer.wholes or writer.dice.random() < 0.7:
        return
    at, whole = writer.dice.choice(list(writer.wholes))
    for key, dump in whole.items():
        await writer.restore(key, dump)
    writer.note("store", "everything put back", f"as it was {time.time() - at:.1f} s ago")


async def another_ones_record(writer: Writer) -> None:
    """A record that was open lies where a request waits."""
    ids = await writer.ids()
    if len(ids) < 2:
        return
    one, other = writer.dice.sample(ids, 2)
    _, dump = writer.dice.choice(writer.records(one))
    await writer.restore(writer.keys.record(other), dump)
    await writer.due_now(other)
    writer.note("record", "copied over another", f"{one} over {other}", one, other)


async def a_record_of_their_own(writer: Writer) -> None:
    """A body and a seal that were made up, or a true body with a higher version."""
    if not (ids := await writer.ids()):
        return
    id_, mark = writer.dice.choice(ids), writer.words()
    forged = writer.dice.choice([
        {"version": "99"},
        {"seal": mark},
        {"body": mark, "seal": mark},
        {"version": "0"},
        {"state": "granting"},
        {"fence": mark, "lease": f"{time.time() + 10**6:.6f}"},
    ])  # fmt: skip
    await writer.redis.hset(writer.keys.record(id_), mapping=forged)
    await writer.due_now(id_)
    writer.note("record", "forged", f"{id_} {forged}", id_, marks=[mark])


async def never_due(writer: Writer) -> None:
    """Open access that nobody looks at any more: its due time gone, or far away."""
    if not (ids := await writer.ids()):
        return
    id_ = writer.dice.choice(ids[-12:])
    if writer.dice.random() < 0.5:
        await writer.redis.zrem(writer.keys.due, id_)
        writer.note("due", "one away", id_, id_)
    else:
        await writer.redis.zadd(writer.keys.due, {id_: time.time() + 10**6})
        writer.note("due", "one far away", id_, id_)


async def no_trace(writer: Writer) -> None:
    """Open access of which nothing is left: the record, its due time and all that names it."""
    if not (ids := await writer.ids()):
        return
    id_ = writer.dice.choice(ids[-12:])
    keys = [key for key in writer.past if id_ in ids_in(key)]
    if keys:
        await writer.redis.delete(*keys)
    await writer.redis.zrem(writer.keys.due, id_)
    for key, members in ((writer.keys.of_system("vault"), [id_]), (writer.keys.exposure, [])):
        if members and (await writer.redis.type(key)).decode() == "set":
            await writer.redis.srem(key, *members)
    writer.note("record", "no trace left", id_, id_)


async def a_forged_event(writer: Writer) -> None:
    """An event of a request that did not happen, under the next number, and the line that tells it."""
    if not (ids := await writer.ids()):
        return
    id_, mark, at = writer.dice.choice(ids), writer.words(), time.time()
    by: dict[str, Any] = {"workspace": TEAM, "id": f"U{writer.dice.choice(APPROVERS).upper()}"}
    by |= {"identity": "dan@example.com", "email": "dan@example.com", "name": mark}
    review = {"verb": "approve", "by": by, "at": at, "duration": 30, "reason": mark}
    event: dict[str, Any] = writer.dice.choice([
        {"kind": "approved", "review": review, "duration": 30},
        {"kind": "endorsed", "review": review},
        {"kind": "denied", "review": {**review, "verb": "deny"}},
        {"kind": "ended_early", "ending": "revoked", "reason": mark, "by": "UPAT"},
        {"kind": "granted", "leg": 0, "receipt": {}, "connect": mark},
        {"kind": "refused", "leg": 0, "error": mark},
        {"kind": "grant_uncertain", "error": mark},
        {"kind": "cancelled", "reason": mark, "by": "policy"},
    ])  # fmt: skip
    version = writer.dice.choice([1, 2, 3, 9])
    fields = {"id": id_, "version": version, "kind": event["kind"], "event": json.dumps({"at": at, **event})}
    number = await writer.add(writer.keys.audit, fields)
    seq = number.partition("-")[0]
    await writer.ask(f"{id_}|thread:{seq}")
    writer.note("audit", "forged event", f"{id_} {event['kind']} as {number}, {mark}", id_, marks=[mark])
    writer.note("rows", "forged row", f"{id_}|thread:{seq}, {mark}", id_)


async def a_forged_note(writer: Writer) -> None:
    """What is told of the workspace, made up: an alarm, a finding, a lockdown, a digest."""
    mark, word, at, audience = writer.mark(), writer.words(), time.time(), writer.dice.choice(_NOTED)
    event = {
        "at": at, "alarm": word, "said": word, "system": word, "by": word, "found": {"orphan": 3}, "name": word,
        "votes": [word], "what": writer.dice.choice([word, "locked_down", "lift_voted", "lifted"]),
        "reason": word, "scope": word, "day": "2026-11-28", "lost": word, "stands": 3, "ours": 3, "mass": False,
        "generation": word, "text": word, "well": writer.dice.random() < 0.5, "said_by": word,
    }  # fmt: skip
    request = writer.dice.choice([audience, "record", "system:vault", "audit", CHANNEL, mark])
    fields = {
        "id": "",
        "version": 0,
        "kind": writer.dice.choice(["alarm", "found", audience]),
        "event": json.dumps(event),
    }
    number = await writer.add(writer.keys.audit, fields)
    row = f"{request}|{audience}:{number.partition('-')[0]}"
    await writer.ask(row)
    writer.note("audit", "forged note", f"{row}, {mark} {word}")
    writer.note("outbox", "forged row", f"{row}, {mark}")


async def a_row_of_their_own(writer: Writer) -> None:
    """A notice to somebody or somewhere that nobody asked for."""
    mark = writer.mark()
    id_ = writer.dice.choice([*(await writer.ids()), mark])
    audience = writer.dice.choice([
        "card", "received", "decided", "granted", "ending", "ended", "alarm", "tampered", mark, "crowd",
        f"approver:{TRAP}", f"copy:{CHANNEL} {_a_message(writer)}", f"copy:{TRAP} 1.0", "audit:1", "thread:1",
        "thread:99999",
    ])  # fmt: skip
    await writer.ask(f"{id_}|{audience}")
    writer.note("rows", "forged row", f"{id_}|{audience}, {mark}", id_, marks=[mark])


def _a_message(writer: Writer) -> str:
    """Where some message stands, as the bot notes it."""
    return f"{time.time() - writer.dice.uniform(0, 10):.6f}"


async def a_row_again(writer: Writer) -> None:
    """A notice that was given, asked for once more, with what says where it stands taken away."""
    if not writer.rows_seen:
        return
    row = writer.dice.choice(sorted(writer.rows_seen))
    await writer.ask(row)
    id_ = row.partition("|")[0]
    if writer.dice.random() < 0.5:
        await writer.redis.delete(writer.keys.posts(id_))
        writer.note("posts", "deleted, its row replayed", row, row)
    writer.note("outbox", "row replayed", row, row)


async def a_message_elsewhere(writer: Writer) -> None:
    """Where a request's messages stand, changed to somewhere else or to another request's."""
    ids = await writer.ids()
    if not ids:
        return
    id_, other = writer.dice.choice(ids), writer.dice.choice(ids)
    key, theirs = writer.keys.posts(id_), writer.keys.posts(other)
    if writer.dice.random() < 0.5:
        await writer.redis.hset(key, "card", f"{TRAP} {time.time():.6f}")
        said = f"{id_}'s card to the trap"
    else:
        found = await writer.redis.hgetall(theirs)
        if not found:
            return
        await writer.redis.hset(key, mapping=found)
        said = f"{id_}'s messages to those of {other}"
    await writer.ask(f"{id_}|card")
    writer.note("posts", "redirected", said, id_, other)


async def a_lease_for_ever(writer: Writer) -> None:
    """Whose turn it is, held by nobody and without an end: no one posts, seals, ships or compares."""
    key = writer.dice.choice([
        ("reconciling", writer.keys.reconciling(writer.dice.choice(["vault", "cache", "db"]))),
        ("poster", writer.keys.poster),
        ("sealer", writer.keys.sealer),
        ("shipper", writer.keys.shipper),
    ])  # fmt: skip
    mark = writer.words()
    await writer.redis.set(key[1], mark)
    writer.note(key[0], "held for ever", f"{key[1]} by {mark}", marks=[mark])
    if writer.dice.random() < 0.6:
        # Given free again, so that what depends on it goes on and can be attacked in other ways.
        await writer.redis.pexpire(key[1], writer.dice.randint(1000, 4000))


async def a_budget_forgotten(writer: Writer) -> None:
    """What says how much somebody had by a rule, or asked lately, is gone."""
    person = f"U{writer.dice.choice(STAFF).upper()}"
    keys = [key for key in writer.past if f":person:{person}:" in key]
    if keys:
        await writer.redis.delete(*keys)
        writer.note("ruled", "all of a person's counters deleted", person)


async def a_number_from_the_future(writer: Writer) -> None:
    """An event so far ahead that no number comes after it."""
    if not writer.bold or writer.dice.random() < 0.6:
        return
    mark = writer.words()
    fields = {"id": mark, "version": 1, "kind": "granted", "event": mark}
    await writer.redis.xadd(writer.keys.audit, fields, id=f"{2**53}-0")
    writer.note("audit", "a number from the future", mark, marks=[mark])


async def a_lockdown_forged(writer: Writer) -> None:
    """A lockdown that nobody declared, or one that is lifted by nobody."""
    if not writer.bold:
        return
    mark = writer.words()
    past = list(writer.past.get(writer.keys.lockdown, ()))
    if past and writer.dice.random() < 0.6:
        await writer.restore(writer.keys.lockdown, writer.dice.choice(past)[1])
        writer.note("lockdown", "put back", "an older one")
    else:
        await writer.redis.set(writer.keys.lockdown, json.dumps({"revision": 99, "locks": [], "reason": mark}))
        writer.note("lockdown", "forged", mark, marks=[mark])


async def a_hold_forged(writer: Writer) -> None:
    """Somebody who needs a shared entitlement for ever."""
    keys = [key for key in writer.past if writer.kinds.of(key) == "holds"]
    if not keys:
        return
    key, ids = writer.dice.choice(sorted(keys)), await writer.ids()
    holder = writer.dice.choice([f"{writer.dice.choice(ids)}.0", "J-ZZZZ.0", writer.mark()])
    await writer.redis.hset(key, holder, "held")
    writer.note("holds", "forged", f"{key} {holder}", holder)


async def an_address_of_anothers(writer: Writer) -> None:
    """Whose an e-mail address is, changed to somebody else."""
    email = f"{writer.dice.choice(APPROVERS)}@example.com"
    key = writer.keys.identity(email)
    await writer.redis.set(key, f"U{writer.dice.choice(STAFF).upper()}")
    writer.note("identity", "bound to another", email)
    if writer.dice.random() < 0.7:
        await writer.redis.delete(key)
        writer.note("identity", "unbound", email)


async def a_garbled_hint(writer: Writer) -> None:
    """What wakes the workers says anything."""
    mark = writer.words()
    await writer.redis.publish(writer.keys.wake, mark)
    writer.note("wake", "published", mark, marks=[mark])


RECIPES: tuple[Recipe, ...] = (
    an_older_record,
    an_older_record,
    an_older_record_again_and_again,
    all_of_a_request,
    everything,
    another_ones_record,
    a_record_of_their_own,
    never_due,
    no_trace,
    a_forged_event,
    a_forged_event,
    a_forged_note,
    a_row_of_their_own,
    a_row_again,
    a_message_elsewhere,
    a_lease_for_ever,
    a_budget_forgotten,
    a_number_from_the_future,
    a_lockdown_forged,
    a_hold_forged,
    an_address_of_anothers,
    a_garbled_hint,
)

__all__ = ["AUDIT", "RECIPES"]
