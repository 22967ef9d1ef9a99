"""An app from a manifest: each mistake is refused at its place, and the app gets only what the manifest names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.playground import LocalSlack, NotThere, SlackRefusal
from bot.playground.manifests import read_manifest
from tests.playground.conftest import CHANNEL, Json, button, people

POSTED = "message_metadata_posted"


def manifest() -> Json:
    return {
        "display_information": {"name": "Town", "description": "Runs the town", "background_color": "#123abc"},
        "features": {
            "bot_user": {"display_name": "town", "always_online": True},
            "slash_commands": [{"command": "/town", "description": "Ask the town"}],
        },
        "oauth_config": {"scopes": {"bot": ["chat:write", "commands", "metadata.message:read"]}},
        "settings": {
            "event_subscriptions": {
                "bot_events": [POSTED],
                "metadata_subscriptions": [{"app_id": "*", "event_type": "notice"}],
            },
            "interactivity": {"is_enabled": True},
            "socket_mode_enabled": True,
        },
    }


def flaws(change: Callable[[Json], object]) -> set[str]:
    """Where a changed manifest is refused."""
    said = manifest()
    change(said)
    with pytest.raises(SlackRefusal) as caught:
        read_manifest(said)
    assert caught.value.code == "invalid_manifest"
    return {error["pointer"] for error in caught.value.more["errors"]}


def part(*path: str) -> Callable[[Json], Any]:
    """A part of a manifest."""

    def find(said: Json) -> Any:
        found: Any = said
        for name in path:
            found = found[name]
        return found

    return find


display, features, settings = part("display_information"), part("features"), part("settings")
scopes, events = part("oauth_config", "scopes", "bot"), part("settings", "event_subscriptions", "bot_events")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda m: m.pop("display_information"), "/"),
        (lambda m: display(m).update(name="x" * 36), "/display_information/name"),
        (lambda m: display(m).update(description="x" * 141), "/display_information/description"),
        (lambda m: display(m).update(long_description="short"), "/display_information/long_description"),
        (lambda m: display(m).update(background_color="blue"), "/display_information/background_color"),
        (lambda m: features(m).update(slash_commands=[]), "/features/slash_commands"),
        (lambda m: features(m)["slash_commands"][0].update(command="town"), "/features/slash_commands/0/command"),
        (lambda m: features(m)["slash_commands"][0].pop("description"), "/features/slash_commands/0"),
        (
            lambda m: features(m)["slash_commands"].append(features(m)["slash_commands"][0]),
            "/features/slash_commands/1",
        ),
        (lambda m: features(m).update(shortcuts=[{"type": "odd"}]), "/features/shortcuts/0/type"),
        (lambda m: features(m).update(wings=True), "/features/wings"),
        (lambda m: features(m).pop("bot_user"), "/features"),
        (lambda m: settings(m).update(socket_mode_enabled="yes"), "/settings/socket_mode_enabled"),
        (lambda m: settings(m).update(interactivity={}), "/settings/interactivity"),
        (lambda m: scopes(m).append("doors:open"), "/oauth_config/scopes/bot/3"),
        (lambda m: scopes(m).remove("commands"), "/oauth_config/scopes/bot"),
        (lambda m: scopes(m).remove("metadata.message:read"), "/settings/event_subscriptions/bot_events/0"),
        (lambda m: events(m).append("door_opened"), "/settings/event_subscriptions/bot_events/1"),
        (lambda m: m.update(settings=[]), "/settings"),
    ],
)
def test_a_manifest_with_a_mistake_is_refused_at_its_place(change: Callable[[Json], object], where: str) -> None:
    assert where in flaws(change)


def test_without_socket_mode_each_delivery_needs_an_address() -> None:
    assert flaws(lambda m: settings(m).update(socket_mode_enabled=False)) == {
        "/features/slash_commands/0",
        "/settings/event_subscriptions",
        "/settings/interactivity",
    }


@pytest.fixture
def app(slack: LocalSlack) -> LocalSlack:
    """One whose app was made from the manifest, and has a request URL where nobody listens."""
    slack.install(manifest())
    slack.deliver_to("http://127.0.0.1:1/")
    return slack


async def test_the_app_has_only_the_scopes_of_its_manifest(app: LocalSlack) -> None:
    assert app.scopes == ("chat:write", "commands", "metadata.message:read")
    assert app.socket_mode


async def test_a_command_outside_the_manifest_does_not_exist(app: LocalSlack) -> None:
    with pytest.raises(NotThere, match="/jit is not a valid command"):
        await app.person("UMIA").command("/jit", "", CHANNEL)
    assert (await app.person("UMIA").command("/town", "", CHANNEL)).status == 0


async def test_the_app_receives_only_subscribed_events(app: LocalSlack) -> None:
    app.delivery.retry_delays = ()
    event: Json = {"type": POSTED, "app_id": app.app_id, "metadata": {"event_type": "notice"}}
    assert (await app.delivery.event(event)).why == "connection_failed"
    for other in ({**event, "metadata": {"event_type": "other"}}, {"type": "user_change"}):
        assert (await app.delivery.event(other)).why == "not_subscribed"
    said = manifest()
    settings(said)["event_subscriptions"]["metadata_subscriptions"][0]["app_id"] = "A0OTHER"
    app.install(said)
    assert (await app.delivery.event(event)).why == "not_subscribed"


async def test_without_interactivity_a_click_is_not_delivered(app: LocalSlack) -> None:
    said = manifest()
    settings(said)["interactivity"] = {"is_enabled": False}
    app.install(said)
    app.deliver_to("http://127.0.0.1:1/")
    acked = await app.delivery.interactive({"type": "block_actions", "actions": [button()]})
    assert (acked.status, acked.why) == (0, "interactivity_is_off")


async def test_over_http_it_is_delivered_to_the_request_url() -> None:
    said = manifest()
    url = "https://town.example.com/events"
    settings(said)["socket_mode_enabled"] = False
    settings(said)["event_subscriptions"]["request_url"] = settings(said)["interactivity"]["request_url"] = url
    features(said)["slash_commands"][0]["url"] = url
    async with LocalSlack() as slack:
        people(slack)
        slack.install(said)
        assert slack.delivery.url == url
        assert not slack.socket_mode
