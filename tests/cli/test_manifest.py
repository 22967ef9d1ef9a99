"""The manifest and the code agree: every method has its scope, every event is subscribed, nothing is asked for idly."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from slack_sdk.web.async_client import AsyncWebClient

from bot.cli import manifest as manifests
from bot.cli.manifest import (
    APP_SCOPES,
    COMMANDS,
    EVENTS,
    METHODS,
    SHORTCUTS,
    SUBSCRIPTIONS,
    BadUrl,
    ListenerNames,
    endpoint,
    heard,
    manifest,
)
from bot.playground import SCOPES
from bot.playground.manifests import read_manifest
from bot.playground.methods import METHODS as SLACKS
from handlers.notify.poster import METADATA
from handlers.views import action_ids
from tests.cli.test_main import jit

ROOT = Path(__file__).parents[2]
OURS = [
    path
    for room in ("bot", "handlers", "providers")
    for path in sorted((ROOT / room).rglob("*.py"))
    if "playground" not in path.parts
]
BOLTS = {"apps.connections.open"}
"""Called by Bolt's Socket Mode on our behalf."""


@functools.cache
def sdk_methods() -> dict[str, str]:
    """What each verb of the SDK's client calls: ``chat_postMessage`` → ``chat.postMessage``."""
    found = {}
    for name, verb in inspect.getmembers(AsyncWebClient, inspect.isfunction):
        called = re.findall(r'self\.api_call\(\s*"([\w.]+)"', inspect.getsource(verb))
        if len(called) == 1:
            found[name] = called[0]
    return found


def called_in(tree: ast.AST) -> Iterator[str]:
    """The Web API methods that a module calls, by the SDK's verbs or by name."""
    verbs = sdk_methods()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in verbs:
            yield verbs[node.attr]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "api_call":
            word = node.args[0]
            assert isinstance(word, ast.Constant), "a Web API method is called by a name that nothing here can read"
            yield str(word.value)


def called() -> set[str]:
    return {method for path in OURS for method in called_in(ast.parse(path.read_text(encoding="utf-8")))}


def bot_scopes(said: dict[str, Any]) -> set[str]:
    return set(said["oauth_config"]["scopes"]["bot"])


# code and manifest


def test_every_method_that_the_code_calls_is_known_and_none_is_listed_for_nothing() -> None:
    assert len(sdk_methods()) > 200
    assert called() | BOLTS == set(METHODS)


def test_the_reading_of_the_code_sees_a_new_call() -> None:
    code = "async def f(self):\n    await self.client.users_list()\n    await client.api_call('team.info')"
    assert set(called_in(ast.parse(code))) == {"users.list", "team.info"}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_has_a_scope_of_those_that_slack_wants(method: str) -> None:
    wanted = set(SLACKS[method].scopes)
    given = set(METHODS[method])
    if method == "apps.connections.open":
        assert wanted == set(APP_SCOPES)
        return
    assert given <= bot_scopes(manifest())
    assert (given & wanted) if wanted else not given


def test_no_scope_is_there_for_nothing() -> None:
    listeners = heard()
    wanted = {scope for scopes in METHODS.values() for scope in scopes}
    wanted |= {scope for event in listeners.events for scope in EVENTS[event]}
    assert bot_scopes(manifest()) == wanted | {"commands"}
    # Of what people write it may read the conversations with itself, and no channel's.
    assert [scope for scope in bot_scopes(manifest()) if "history" in scope] == ["im:history"]


def test_every_event_that_is_listened_to_is_subscribed_and_no_other() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "handlers").rglob("*.py"))
    written = set(re.findall(r'@app\.event\(\s*"([\w.]+)"', code))
    assert len(written) == code.count("@app.event(")
    assert written == set(heard().events)
    subscribed = {SUBSCRIPTIONS.get(event, event) for event in written}
    assert set(manifest()["settings"]["event_subscriptions"]["bot_events"]) == subscribed


def test_an_app_for_a_whole_organisation_is_asked_for_by_name() -> None:
    assert manifest()["settings"]["org_deploy_enabled"] is False
    assert manifest(organisation=True)["settings"]["org_deploy_enabled"] is True


def test_our_own_posts_are_subscribed_by_the_name_they_carry() -> None:
    subscribed = manifest(app="A0123ABCD")["settings"]["event_subscriptions"]
    assert subscribed["metadata_subscriptions"] == [{"app_id": "A0123ABCD", "event_type": METADATA}]


def test_every_command_and_shortcut_is_handled_and_told() -> None:
    features, listeners = manifest()["features"], heard()
    assert [command["command"] for command in features["slash_commands"]] == listeners.commands == list(COMMANDS)
    assert features["slash_commands"][0]["usage_hint"] == "request WHAT 30m -- why"
    assert {s["callback_id"] for s in features.get("shortcuts", [])} == set(listeners.shortcuts) == set(SHORTCUTS)


def test_a_shortcut_that_is_handled_is_in_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    def register(app: ListenerNames, _: object) -> None:
        app.command("/jit")(print)
        app.shortcut("ask_here")(print)

    monkeypatch.setattr("bot.cli.manifest.handlers.register", register)
    with pytest.raises(LookupError, match="ask_here, of which SHORTCUTS"):
        manifest()
    known = manifests.Shortcut("Ask for access", "global", "Open the form")
    monkeypatch.setattr(manifests, "SHORTCUTS", {"ask_here": known})
    said = manifest()
    assert said["features"]["shortcuts"] == [
        {"name": "Ask for access", "type": "global", "callback_id": "ask_here", "description": "Open the form"}
    ]
    assert read_manifest(said).shortcuts == {"ask_here"}
    assert "metadata.message:read" not in bot_scopes(said)


@pytest.mark.parametrize("line", ['app.command("/new")', 'app.event("reaction_added")'])
def test_what_the_manifest_knows_nothing_of_is_an_error(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.cli.manifest.handlers.register", lambda app, _: eval(line)(print))
    with pytest.raises(LookupError, match=r"in bot/cli/manifest\.py says nothing"):
        manifest()


def test_buttons_and_modals_have_interactivity_switched_on() -> None:
    assert set(action_ids.BUTTONS) | set(action_ids.VIEWS) <= set(heard().interactive)
    assert manifest()["settings"]["interactivity"] == {"is_enabled": True}


def test_the_local_slack_gives_by_default_what_the_manifest_asks_for() -> None:
    assert set(SCOPES) == bot_scopes(manifest())


# its form


@pytest.mark.parametrize("url", [None, "https://jit.example.com"])
def test_slack_accepts_it(url: str | None) -> None:
    app = read_manifest(manifest(url))
    assert app.socket_mode is (url is None)
    assert app.url == (None if url is None else "https://jit.example.com/slack/events")
    assert "url" not in json.dumps(manifest())


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://jit.example.com/", "https://jit.example.com/slack/events"),
        ("https://jit.example.com:8443/bots/jit", "https://jit.example.com:8443/bots/jit/slack/events"),
        ("https://jit.example.com/slack/events", "https://jit.example.com/slack/events"),
    ],
)
def test_an_address_leads_to_the_one_path(url: str, wanted: str) -> None:
    assert endpoint(url) == wanted


@pytest.mark.parametrize(
    "url", ["http://x.example", "jit.example.com", "https://", "https://a:b@c.example", "https://x/?a", "https://x:y"]
)
def test_an_address_that_slack_would_not_reach_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        endpoint(url)


# the command


def test_it_is_printed_as_json_or_as_yaml(tmp_path: Path) -> None:
    plain, written = jit("manifest", cwd=tmp_path), jit("manifest", "--yaml", "--socket-mode", cwd=tmp_path)
    assert json.loads(plain.stdout) == yaml.safe_load(written.stdout) == manifest()
    assert plain.stdout.startswith("{") is not written.stdout.startswith("{")
    over_http = jit("manifest", "--url", "https://jit.example.com", cwd=tmp_path)
    assert json.loads(over_http.stdout) == manifest("https://jit.example.com")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--url", "http://jit.example.com"], "https://your.host"),
        (["--url", "https://jit.example.com", "--socket-mode"], "give one of them"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_printed(words: list[str], said: str, tmp_path: Path) -> None:
    done = jit("manifest", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_it_needs_no_setup(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "bot", "manifest"]
    done = subprocess.run(words, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    assert done.stderr == b""
