"""A workspace whose app was made from our manifest, and an environment in which all is well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.cli.manifest import manifest
from bot.playground import LocalSlack
from tests.cli.doctor.examining import KEYS, Env, policy
from tests.house import POLICY
from tests.journeys.conftest import people
from tests.servers import RedisServer, free_port


@pytest.fixture
async def slack(workspace: str) -> AsyncIterator[LocalSlack]:
    """A workspace whose app was made from our manifest; its limits are off."""
    async with LocalSlack(team=workspace) as slack:
        slack.install(manifest())
        slack.limits.on = False
        people(slack)
        slack.world.usergroups["S0DBA0001"].users = ["UDAN", "UEVE"]
        yield slack


@pytest.fixture
def env(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> Env:
    """All is well."""
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        "REDIS_URL": redis.socket_url,
        "JIT_KEYS": KEYS,
        "JIT_OPS_PORT": str(free_port()),
        "JIT_HOME": str(tmp_path / "home"),
        "JIT_POLICY": policy(tmp_path, POLICY),
    }
