"""Redis comes back without what people were told is done: the audit channel says whose decision is to be made again."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from bot.playground import LocalSlack
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.servers import redis_binary, redis_server, start_redis

AUDIT = "C0AUDIT01"


async def test_a_decision_that_redis_forgot_is_told_and_can_be_made_again(slack: LocalSlack, tmp_path: Path) -> None:
    slack.limits.on = False
    with redis_server() as redis, contextlib.ExitStack() as after:
        data, copy = redis.directory / "appendonlydir", tmp_path / "copy"
        async with running(settings_for(slack, redis, "http", tmp_path)) as app:
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
            town = Town(slack, app)
            card = await town.asked()
            id_ = town.id_of(card)
            shutil.copytree(data, copy)
            await town.mia.command("/jit", f"cancel {id_}", CHANNEL)
            await town.card(id_, "cancelled")

            redis.process.kill()
            redis.process.wait()
            shutil.rmtree(data)
            shutil.copytree(copy, data)
            again = start_redis(redis_binary(), redis.directory, redis.port)
            after.callback(again.wait)
            after.callback(again.kill)

            told = await slack.sees(AUDIT, lambda m: "a confirmed decision is missing there" in m.said())
            assert f"{id_} · " in told.said()
            assert "mia@example.com cancelled debug" in told.said()
            await town.mia.command("/jit", f"cancel {id_}", CHANNEL)
            assert (await app.context.find_by_id(id_)).request.state == "cancelled"
