"""The master dies under the whole bot: people are told so, nothing is half done, and all goes on with the next one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import SecretStr

from bot.playground import LocalSlack
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.servers import redis_server, replica_of, sentinels

LINE = "request debug 30m -- INC-2 the hall is stuck"


async def test_behind_sentinels_people_are_told_and_a_few_seconds_later_served(
    slack: LocalSlack, tmp_path: Path
) -> None:
    with (
        redis_server() as master,
        replica_of(master) as one,
        replica_of(master) as other,
        sentinels("jit", master, one, other, count=1) as [sentinel],
    ):
        url = SecretStr(f"redis+sentinel://127.0.0.1:{sentinel.port}/jit")
        settings = settings_for(slack, master, "http", tmp_path).model_copy(update={"redis_url": url})
        async with running(settings) as app:
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
            town = Town(slack, app)
            card = await town.asked()

            master.process.kill()
            reply = await town.kim.command("/jit", LINE, CHANNEL)
            assert "saved completely or not at all" in reply.text
            async with asyncio.timeout(60):
                while "You requested" not in reply.text:
                    await asyncio.sleep(0.5)  # as a person would: Slack limits how often we may ask who they are
                    reply = await town.kim.command("/jit", LINE, CHANNEL)
            assert len(await app.store.open_of("UKIM")) == 1

            assert (await town.dan.click(card, "approve")).status == 200
            await town.card(town.id_of(card), "active until", patience=60)
