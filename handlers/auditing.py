"""The conversation of reading the record: who may is judged anew, what is read is recorded, the answer comes by DM."""

from __future__ import annotations

from bot.digest import picture as digest_picture
from bot.digest import telling as digesting
from bot.digest.words import long_day
from handlers.door import Door
from handlers.payloads import Payload


async def digest(door: Door, payload: Payload, rest: str) -> str:
    """``/jit digest [DAY]``."""
    day = await digesting.ask(door.desk, await door.who(payload), rest[:40], draws=digest_picture.available())
    return f"The digest for {long_day(day.isoformat())} is on its way to your direct messages."
