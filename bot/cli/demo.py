"""`jit demo`: the whole product on this machine in half a minute, for real but for Slack; it fails when a step does.

A local Slack, a store of its own, and a second server that is the system to protect: a login on it is refused, then
accepted, then refused again, because somebody requested it, somebody approved and time passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from bot import app as composition
from bot import terminal
from bot.app import App
from bot.playground import Human, LocalSlack, Message, View
from bot.settings import Settings
from bot.store.redis import embedded
from handlers.views.text import unmarked

CHANNEL, AUDIT = "C0CACHE01", "C0AUDIT01"
POLICY = """
version: 1
workspace: {{audit_channel: {audit}, mfa: {{request: off, break_glass: off}}}}
groups:
  dba: {{people: [dan@example.com]}}
systems:
  cache:
    title: Production cache
    provider: redis
    config: {{url: "file:{secret}", id: demo}}
    channel: {channel}
    approvers: [dba]
    roles:
      read-only:
        grants: {{keys: ["orders:*"], commands: ["+get", "+ping"]}}
        sensitivity: low
        max: 1h
        may_ask: [everyone]
templates:
  debug-cache:
    title: Debug the cache
    roles: [cache/read-only]
    durations: [10s, 10m]
    reason: {{hint: An incident, pattern: "INC-\\\\d+", example: INC-42}}
"""


class DemoFailed(Exception):
    """A step of the story did not go as it must."""


@dataclass
class Story:
    """The people, the bot, and the login that is tried."""

    slack: LocalSlack
    app: App
    target: str
    fast: bool

    @property
    def mia(self) -> Human:
        """Who asks."""
        return self.slack.person("UMIA")

    @property
    def dan(self) -> Human:
        """Who decides."""
        return self.slack.person("UDAN")

    async def say(self, who: str, what: str) -> None:
        """A line of the story, slow enough to read."""
        terminal.say(f"{time.strftime('%H:%M:%S')}  {who:>10}  {what}")
        if not self.fast:
            await asyncio.sleep(0.6)

    async def tries(self, login: tuple[str, str], *, expected: str) -> None:
        """Try the login on the protected server, and say what the server said."""
        user, password = login
        client = Redis.from_url(self.target, username=user, password=password, socket_timeout=3)
        try:
            order = await client.get("orders:1")
            found = "accepted"
        except (AuthenticationError, RedisError) as error:
            order, found = str(error).split(",")[0], "refused"
        finally:
            await client.aclose()
        said = order.decode() if isinstance(order, bytes) else str(order)
        await self.say("connection", f"{user}: {found.upper()}  ({said})")
        if found != expected:
            raise DemoFailed(f"the connection was {found}, and had to be {expected}")


async def tell(*, fast: bool) -> int:
    """Tell the story; 0 when it went as it must."""
    terminal.say("A local Slack, a store, and a cache to protect, all of them on this machine and gone at the end.", "")
    try:
        async with _stage(fast=fast) as story:
            await _by_time(story)
            await _by_hand(story)
    except (DemoFailed, TimeoutError, embedded.CannotEmbed) as error:
        terminal.say("", f"The demo failed: {error}", err=True)
        return 1
    terminal.say("", "Access was granted on approval, and revoked on time and on request. `jit init` starts your own.")
    return 0


async def _by_time(story: Story) -> None:
    """Requested, approved, granted, and ended by time."""
    card, id_ = await _ask(story, "10s", "INC-42 orders are stuck")
    await story.tries((_login(id_), "a guess"), expected="refused")
    login = await _approve_and_reveal(story, card, id_)
    await story.tries(login, expected="accepted")
    await story.say("clock", "ten seconds pass …")
    await _closed(story, id_)
    await story.tries(login, expected="refused")


async def _by_hand(story: Story) -> None:
    """Ended early by its holder."""
    terminal.say()
    card, id_ = await _ask(story, "10m", "INC-43 orders are stuck again")
    login = await _approve_and_reveal(story, card, id_)
    await story.tries(login, expected="accepted")
    await story.say("Mia", f"/jit release {id_}")
    reply = await story.mia.command("/jit", f"release {id_}", CHANNEL)
    await story.say("Slack", _plain(reply.text))
    await _closed(story, id_)
    await story.tries(login, expected="refused")


async def _ask(story: Story, duration: str, reason: str) -> tuple[Message, str]:
    line = f"request debug-cache {duration} -- {reason}"
    await story.say("Mia", f"/jit {line}")
    reply = await story.mia.command("/jit", line, CHANNEL)
    found = re.search(r"J-[0-9A-Z]{4,8}", reply.text)
    if found is None:
        raise DemoFailed(f"the request was not taken: {reply.text}")
    id_ = found[0]
    card = await story.slack.sees(CHANNEL, lambda m: id_ in m.said() and bool(m.buttons()))
    await story.say("Slack", _plain(card.text))
    return card, id_


async def _approve_and_reveal(story: Story, card: Message, id_: str) -> tuple[str, str]:
    await story.say("Dan", "presses Approve")
    await story.dan.click(card, "approve")
    opened = await story.mia.sees_dm(lambda m: id_ in m.said() and "You have access until" in m.said())
    await story.say("Slack", _plain(opened.text.split("\n")[0]))
    await story.say("Mia", "presses Show password; only she sees it")
    await story.mia.click(opened, "reveal")
    view = await story.mia.sees_view("note", lambda v: "Password" in v.said())
    login = _shown(view)
    story.mia.close_view(view)
    return login


async def _closed(story: Story, id_: str) -> None:
    # The reason follows: earlier messages say only that it has ended.
    ended = await story.mia.sees_dm(lambda m: id_ in m.text and "has ended. " in m.text, patience=40)
    await story.say("Slack", _plain(ended.text))


def _login(id_: str) -> str:
    """The name that the provider gives to a request's login."""
    return f"jit-{id_.lower()}-0"


def _shown(view: View) -> tuple[str, str]:
    values = re.findall(r"```(.*?)```", view.said(), re.DOTALL)
    return values[0], values[1]


def _plain(text: str) -> str:
    """Slack's signs as a terminal shows them."""
    text = re.sub(r"<!date\^(\d+)\^[^|]*\|[^>]*>", lambda m: time.strftime("%H:%M:%S", time.localtime(int(m[1]))), text)
    return unmarked(text).replace("*", "")


@contextlib.asynccontextmanager
async def _stage(*, fast: bool) -> AsyncIterator[Story]:
    """Everything that the story needs, and nothing of it left at the end."""
    async with contextlib.AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jit-demo-")))
        target = embedded.start(home, "cache")
        stack.callback(target.stop)
        filling = Redis.from_url(target.url)
        await filling.set("orders:1", "3 boxes of tea")
        await filling.aclose()
        slack = await stack.enter_async_context(_slack())
        settings = _settings(slack, home, target.url)
        app = await stack.enter_async_context(composition.opened(settings, "all"))
        running = asyncio.create_task(app.run())
        stack.push_async_callback(_stop, app, running)
        ready = asyncio.create_task(app.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        yield Story(slack, app, target.url, fast)


async def _stop(app: App, running: asyncio.Task[None]) -> None:
    app.stopping.set()
    await running


@contextlib.asynccontextmanager
async def _slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack() as slack:
        slack.add_person("UMIA", "Mia", "mia@example.com")
        slack.add_person("UDAN", "Dan", "dan@example.com")
        slack.add_channel(CHANNEL, "prod-cache", ["UMIA", "UDAN"])
        slack.add_channel(AUDIT, "audit", ["UDAN"])
        yield slack


def _settings(slack: LocalSlack, home: Path, target: str) -> Settings:
    secret, policy = home / "cache-url", home / "jit.yaml"
    secret.write_text(target, encoding="utf-8")
    policy.write_text(POLICY.format(audit=AUDIT, channel=CHANNEL, secret=secret), encoding="utf-8")
    return Settings(
        SLACK_BOT_TOKEN=SecretStr(slack.bot_token),
        SLACK_SIGNING_SECRET=SecretStr(slack.signing_secret),
        SLACK_API_URL=slack.api_url,
        JIT_STORE="embedded",
        JIT_POLICY=policy,
        JIT_HOME=home,
        HOST="127.0.0.1",
        PORT=0,
        JIT_OPS_PORT=0,
    )
