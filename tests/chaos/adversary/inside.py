"""What is changed inside a value of Redis: a field, a score, a member, an entry, a bit; seeded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.chaos.adversary.writer import Writer


async def change(writer: Writer, key: str) -> str | None:
    """Change something inside a value, by its type; what was done, or None."""
    match (await writer.redis.type(key)).decode():
        case "hash":
            return await _in_hash(writer, key)
        case "zset":
            return await _in_zset(writer, key)
        case "set":
            return await _in_set(writer, key)
        case "stream":
            return await _in_stream(writer, key)
        case "string":
            return await _in_string(writer, key)
        case "list":
            await writer.redis.lpush(key, word := writer.words())
            return f"{key}: one more, {word}"
    return None


async def _in_hash(writer: Writer, key: str) -> str | None:
    fields: dict[bytes, bytes] = await writer.redis.hgetall(key)
    names = sorted(fields)
    if not names:
        return None
    name = writer.dice.choice(names)
    said = f"{key} {name.decode(errors='replace')}"
    match writer.dice.choice(["set", "delete", "number", "swap", "add", "twin"]):
        case "set":
            mark = writer.words()
            await writer.redis.hset(key, name.decode(errors="replace"), mark)
            return f"{said} to {mark}"
        case "delete":
            await writer.redis.hdel(key, name)
            return f"{said} away"
        case "number":
            await writer.redis.hset(key, name.decode(errors="replace"), str(writer.dice.choice([0, 1, 2, 99, 2**53])))
            return f"{said} to a number"
        case "swap" if len(names) > 1:
            other = writer.dice.choice([each for each in names if each != name])
            pair = {name: fields[other], other: fields[name]}
            await writer.redis.hset(key, mapping=pair)
            return f"{said} swapped with {other.decode(errors='replace')}"
        case "twin":
            await writer.redis.hset(key, f"{name.decode(errors='replace')}{writer.dice.randint(2, 9)}", fields[name])
            return f"{said} copied"
        case _:
            mark = writer.mark()
            await writer.redis.hset(key, mark, word := writer.words())
            return f"{key}: one more, {mark} {word}"


async def _in_zset(writer: Writer, key: str) -> str | None:
    members: list[tuple[bytes, float]] = await writer.redis.zrange(key, 0, -1, withscores=True)
    if not members:
        return None
    member, score = writer.dice.choice(members)
    said = f"{key} {member.decode(errors='replace')}"
    match writer.dice.choice(["later", "never", "now", "away", "swap", "add"]):
        case "later":
            await writer.redis.zadd(key, {member: score + writer.dice.choice([1, 30, 3600])})
            return f"{said} later"
        case "never":
            await writer.redis.zadd(key, {member: writer.dice.choice([2.0**53, float("inf")])})
            return f"{said} never"
        case "now":
            await writer.redis.zadd(key, {member: writer.dice.choice([0.0, 1.0, float("-inf")])})
            return f"{said} at once"
        case "away":
            await writer.redis.zrem(key, member)
            return f"{said} away"
        case "swap" if len(members) > 1:
            other, at = writer.dice.choice([each for each in members if each[0] != member])
            await writer.redis.zadd(key, {member: at, other: score})
            return f"{said} swapped with {other.decode(errors='replace')}"
        case _:
            mark = writer.mark()
            await writer.redis.zadd(key, {writer.dice.choice([mark, f"{mark}|card", f"{mark}|thread:1"]): score})
            return f"{key}: one more, {mark}"


async def _in_set(writer: Writer, key: str) -> str | None:
    members = sorted(await writer.redis.smembers(key))
    if members and writer.dice.random() < 0.5:
        member = writer.dice.choice(members)
        await writer.redis.srem(key, member)
        return f"{key} {member.decode(errors='replace')} away"
    member_ = writer.dice.choice([writer.mark(), *writer.known().ids])
    await writer.redis.sadd(key, member_)
    return f"{key}: one more, {member_}"


async def _in_string(writer: Writer, key: str) -> str | None:
    value: bytes = await writer.redis.get(key) or b""
    if value.isdigit() and len(value) < 15:
        to = writer.dice.choice([0, max(0, int(value) - 1), int(value) + 1, int(value) + 1000])
        await writer.redis.set(key, to, keepttl=True)
        return f"{key} to {to}"
    if writer.dice.random() < 0.5 and value:
        at = writer.dice.randrange(len(value))
        await writer.redis.set(key, value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :], keepttl=True)
        return f"{key}: one bit"
    mark = writer.words()
    await writer.redis.set(key, mark, keepttl=True)
    return f"{key} to {mark}"


async def _in_stream(writer: Writer, key: str) -> str | None:
    entries: Any = await writer.redis.xrevrange(key, count=60)
    if not entries:
        return None
    id_, fields = writer.dice.choice(entries)
    said = f"{key} {id_.decode()}"
    match writer.dice.choice(["away", "again", "other", "between"]):
        case "away":
            await writer.redis.xdel(key, id_)
            return f"{said} away"
        case "again":
            new = await writer.add(key, fields)
            return f"{said} again as {new}"
        case "other":
            mark = writer.words()
            new = await writer.add(key, {**fields, writer.dice.choice(sorted(fields)): mark.encode()})
            return f"{said} again as {new}, with {mark}"
        case _:
            mark = writer.words()
            top = entries[0][0].decode().partition("-")[0]
            await writer.redis.xadd(key, {**fields, b"event": mark.encode()}, id=f"{top}-{writer.dice.randint(1, 9)}")
            return f"{key}: between the numbers, {mark}"
