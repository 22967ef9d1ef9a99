"""The environment's mistakes: all of them at once, each with what to do, and none of them shows a secret."""

from __future__ import annotations

import base64
import traceback
from pathlib import Path
from typing import cast

import pytest

from bot.settings import SETTINGS, Role, Setting, Settings, SettingsMistakes, load

KEYS = "k1:" + base64.b64encode(bytes(32)).decode()
HTTP = {
    "SLACK_BOT_TOKEN": "xoxb-1-secret",
    "SLACK_SIGNING_SECRET": "8f742231b10e8888abcd99yyyzzz85a5",
    "REDIS_URL": "redis://:hunter2@redis:6379/0",
    "JIT_KEYS": KEYS,
    "HOME": "/home/mia",
}
ROLES = cast("list[Role]", ["all", "web", "worker"])


def without(*names: str, **more: str) -> dict[str, str]:
    """A good environment, less some and with others."""
    return {name: value for name, value in HTTP.items() if name not in names} | more


def mistakes(env: dict[str, str], role: Role = "all") -> tuple[str, ...]:
    """What is said about it."""
    with pytest.raises(SettingsMistakes) as caught:
        load(env, role)
    assert str(caught.value) == "\n".join(caught.value.mistakes)
    return caught.value.mistakes


# What is right.


@pytest.mark.parametrize("role", ROLES)
def test_http_over_a_redis_of_ones_own(role: Role) -> None:
    settings = load(HTTP, role)
    assert settings.slack_bot_token
    assert settings.slack_bot_token.get_secret_value() == "xoxb-1-secret"
    assert settings.redis_url
    assert settings.redis_url.get_secret_value() == HTTP["REDIS_URL"]
    assert settings.store is None


def test_socket_mode_over_the_embedded_store_needs_two_tokens_and_nothing_else() -> None:
    settings = load({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "JIT_STORE": "embedded"})
    assert settings.store == "embedded"
    assert settings.keys is None


def test_a_worker_needs_no_way_to_be_asked() -> None:
    assert load(without("SLACK_SIGNING_SECRET"), "worker").slack_signing_secret is None


def test_what_is_not_set_has_its_default() -> None:
    settings = load(HTTP)
    assert settings.slack_api_url == "https://slack.com/api/"
    assert settings.policy == Path("jit.yaml")
    assert settings.home == Path("/home/mia/.local/state/jit")
    assert (settings.host, settings.port) == ("0.0.0.0", 3000)
    assert (settings.ops_host, settings.ops_port) == ("127.0.0.1", 3001)
    assert settings.log_level == "INFO"


TOLD_IN_WORDS = {"JIT_ARCHIVE_URL", "JIT_HOME", "JIT_KEYS", "JIT_LOG", "JIT_REPLICAS"}
SHOWN = [setting for setting in SETTINGS if setting.default and setting.name not in TOLD_IN_WORDS]


@pytest.mark.parametrize("setting", SHOWN, ids=lambda setting: setting.name)
def test_the_default_that_people_are_told_is_the_default(setting: Setting) -> None:
    fields = {field.alias: name for name, field in Settings.model_fields.items()}
    assert str(getattr(load(HTTP), fields[setting.name])) == setting.default


def test_every_setting_is_told_and_every_told_one_is_a_setting() -> None:
    assert {field.alias for field in Settings.model_fields.values()} == {setting.name for setting in SETTINGS}
    assert all(setting.meaning and setting.fix for setting in SETTINGS)


@pytest.mark.parametrize(
    ("env", "home"),
    [
        ({"XDG_STATE_HOME": "/var/state"}, "/var/state/jit"),
        ({"XDG_STATE_HOME": "state"}, "/home/mia/.local/state/jit"),
        ({"JIT_HOME": "/srv/jit"}, "/srv/jit"),
    ],
)
def test_the_home_follows_xdg(env: dict[str, str], home: str) -> None:
    assert load(HTTP | env).home == Path(home)


def test_a_tilde_is_the_home_of_the_user() -> None:
    settings = load(HTTP | {"JIT_HOME": "~/jit", "JIT_POLICY": "~/jit.yaml"})
    assert settings.home == Path.home() / "jit"
    assert settings.policy == Path.home() / "jit.yaml"


def test_blanks_around_a_value_are_no_part_of_it_and_an_empty_one_is_none() -> None:
    settings = load(HTTP | {"PORT": " 8080\n", "JIT_LOG_LEVEL": "", "SLACK_APP_TOKEN": "  "})
    assert (settings.port, settings.log_level, settings.slack_app_token) == (8080, "INFO", None)


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://u:p%2Fq@h:6380/1", "unix:///run/redis.sock?db=0", "redis://[::1]:6379"]
)
def test_each_way_to_a_redis_will_do(url: str) -> None:
    assert load(HTTP | {"REDIS_URL": url})


@pytest.mark.parametrize(
    "url",
    ["https://slack.example.com/api/", "http://127.0.0.1:8080/api/", "http://localhost/api/", "http://[::1]:1/api/"],
)
def test_slack_may_be_elsewhere_or_in_the_clear_on_this_machine(url: str) -> None:
    assert load(HTTP | {"SLACK_API_URL": url}).slack_api_url == url


def test_the_environment_itself_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    for name, value in HTTP.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PORT", "4711")
    assert load().port == 4711


# What is missing, wrong, or does not go together.


def test_an_empty_environment_is_told_everything_at_once() -> None:
    token, answering, storing = mistakes({})
    assert token.startswith("SLACK_BOT_TOKEN is missing: copy the Bot User OAuth Token (xoxb-…)")
    assert answering.startswith("SLACK_SIGNING_SECRET (HTTP) or SLACK_APP_TOKEN (Socket Mode) is missing: copy the")
    assert "xapp-" in answering
    assert storing.startswith("REDIS_URL is missing: set it to your Redis, or set JIT_STORE=embedded")


def test_mistakes_of_all_kinds_come_together() -> None:
    env = without("SLACK_BOT_TOKEN", PORT="many", JIT_LOG_LEVEL="LOUD", SLACK_BOT_TOKN="xoxb-1", REDIS_URL="http://h")
    said = "\n".join(mistakes(env))
    for name in ("PORT is wrong", "JIT_LOG_LEVEL is wrong", "SLACK_BOT_TOKEN is missing", "REDIS_URL is of a kind"):
        assert name in said
    assert "did you mean SLACK_BOT_TOKEN?" in said


@pytest.mark.parametrize(
    ("env", "role", "phrase"),
    [
        (without("SLACK_BOT_TOKEN"), "all", "SLACK_BOT_TOKEN is missing: copy the Bot User OAuth Token"),
        (without("SLACK_BOT_TOKEN"), "web", "SLACK_BOT_TOKEN is missing"),
        (without("SLACK_BOT_TOKEN"), "worker", "SLACK_BOT_TOKEN is missing"),
        (without("SLACK_SIGNING_SECRET"), "web", "SLACK_SIGNING_SECRET (HTTP) or SLACK_APP_TOKEN (Socket Mode) is"),
        (without("SLACK_SIGNING_SECRET"), "all", "SLACK_SIGNING_SECRET (HTTP) or SLACK_APP_TOKEN (Socket Mode) is"),
        (without(SLACK_APP_TOKEN="xapp-1"), "web", "are both set: keep SLACK_APP_TOKEN for Socket Mode"),
        (
            without(SLACK_BOT_TOKEN="xoxp-1"),
            "all",
            "SLACK_BOT_TOKEN is a user token (xoxp-…), which acts as a person",
        ),
        (without(SLACK_BOT_TOKEN="xapp-1"), "all", "is an app-level token: that belongs in SLACK_APP_TOKEN; copy the"),
        (
            without(SLACK_BOT_TOKEN="xoxe.xoxp-1"),
            "all",
            "SLACK_BOT_TOKEN is a configuration or refresh token (xoxe",
        ),
        (
            without(SLACK_BOT_TOKEN="0" * 32),
            "all",
            "looks like the signing secret: that belongs in SLACK_SIGNING_",
        ),
        (without(SLACK_BOT_TOKEN="token"), "all", "SLACK_BOT_TOKEN does not begin with xoxb-: copy the Bot User"),
        (
            without("SLACK_SIGNING_SECRET", SLACK_APP_TOKEN="xoxb-1"),
            "all",
            "SLACK_APP_TOKEN is a bot token: that belongs in SLACK_BOT_TOKEN; make an app-level token",
        ),
        (without(SLACK_SIGNING_SECRET="xapp-1"), "web", "SLACK_SIGNING_SECRET is an app-level token: that belongs in"),
        (without("REDIS_URL", "JIT_KEYS"), "worker", "REDIS_URL is missing"),
        (without("JIT_KEYS"), "worker", "JIT_KEYS is missing: `jit keys` prints one; every replica needs the same"),
        (without(JIT_KEYS="k1:short"), "all", "JIT_KEYS: key 1 is not of the form"),
        (without(JIT_STORE="embedded"), "all", "REDIS_URL and JIT_STORE are both set: keep one"),
        (without("REDIS_URL", JIT_STORE="embedded"), "web", "for one process (--role all): set REDIS_URL"),
        (without("REDIS_URL", JIT_STORE="embedded"), "worker", "for one process (--role all): set REDIS_URL"),
        (without("REDIS_URL", JIT_STORE="sqlite"), "all", "JIT_STORE is wrong (input should be 'embedded')"),
        (without(REDIS_URL="redis:6379"), "all", "it begins with redis://, rediss:// or unix://"),
        (without(REDIS_URL="redis://:a/b@h:6379"), "all", "special signs of its password as %XX"),
        (without(REDIS_URL="redis://h:99999"), "all", "REDIS_URL cannot be read as host:port"),
        (without(SLACK_API_URL="slack.com/api"), "all", "SLACK_API_URL is wrong"),
        (without(SLACK_API_URL="https://slack.com/api"), "all", "a URL that ends with /api/"),
        (without(SLACK_API_URL="http://slack.com/api/"), "all", "would have the token sent in the clear: use https"),
        (without(SLACK_API_URL="http://127.0.0.1.evil.com/"), "all", "would have the token sent in the clear"),
        (without(SLACK_API_URL="http://localhost@evil.com/"), "all", "would have the token sent in the clear"),
        (without(PORT="http"), "all", "PORT is wrong (input should be a valid integer"),
        (without(PORT="65536"), "all", "PORT is wrong (input should be less than or equal to 65535)"),
        (without(JIT_OPS_PORT="-1"), "all", "JIT_OPS_PORT is wrong"),
        (without(JIT_LOG_LEVEL="LOUD"), "all", "JIT_LOG_LEVEL is wrong"),
        (without(JIT_ARCHIVE_URL="mysql://db/audit"), "all", "JIT_ARCHIVE_URL is no archive's address: sqlite:///PATH"),
        (without(JIT_POLCY="a.yaml"), "all", "JIT_POLCY is no setting: did you mean JIT_POLICY?"),
        (without(JIT_POLICY_FILE="a.yaml"), "all", "JIT_POLICY_FILE is no setting: only a secret may stand in a file"),
    ],
)
def test_one_mistake_is_one_sentence_with_what_to_do(env: dict[str, str], role: Role, phrase: str) -> None:
    (said,) = mistakes(env, role)
    assert phrase in said


def test_a_typo_beside_the_right_name_and_the_names_of_others_are_left_alone() -> None:
    assert load(HTTP | {"SLACK_BOT_TOKN": "x", "SLACK_CHANNEL": "x", "JIT_COMPILER": "x", "PORTS": "1"})


# Secrets in files.


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.secret])
def test_each_secret_may_stand_in_a_file(tmp_path: Path, name: str) -> None:
    values = HTTP | {"SLACK_APP_TOKEN": "xapp-1", "JIT_ARCHIVE_URL": "postgresql://jit:secret@db/audit"}
    env = without(name) if name != "SLACK_APP_TOKEN" else without("SLACK_SIGNING_SECRET")
    file = tmp_path / "secret"
    file.write_text(values[name] + "\n", encoding="utf-8")
    settings = load(env | {f"{name}_FILE": str(file)})
    kept = getattr(settings, {f.alias: n for n, f in Settings.model_fields.items()}[name])
    assert kept.get_secret_value() == values[name]


def test_a_secret_in_both_places_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(KEYS, encoding="utf-8")
    (said,) = mistakes(without(JIT_KEYS_FILE=str(tmp_path / "keys")))
    assert said == "JIT_KEYS and JIT_KEYS_FILE are both set: keep one"


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"xoxb-\xff\xfe-secret", "is not text"),
        (b"xoxb-" + b"s" * 70_000, "is longer than 65536 bytes"),
    ],
)
def test_a_file_that_gives_no_secret_is_named_once(tmp_path: Path, content: bytes | None, phrase: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    (said,) = mistakes(without("SLACK_BOT_TOKEN", SLACK_BOT_TOKEN_FILE=str(file)))
    assert said.startswith(f"SLACK_BOT_TOKEN_FILE: {file} {phrase}; copy the Bot User OAuth Token")


def test_the_content_of_a_file_is_checked_like_the_variable(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("xoxp-secret", encoding="utf-8")
    (said,) = mistakes(without("SLACK_BOT_TOKEN", SLACK_BOT_TOKEN_FILE=str(tmp_path / "token")))
    assert said.startswith("SLACK_BOT_TOKEN is a user token (xoxp-…)")


# No secret is shown.


def test_a_repr_of_the_settings_shows_no_secret() -> None:
    settings = load(HTTP)
    for shown in (repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json()):
        for secret in ("xoxb-1", "8f742231", "hunter2", KEYS[3:15]):
            assert secret not in shown


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_no_mistake_repeats_what_was_set(name: str) -> None:
    """Also where a secret was pasted into the wrong variable."""
    env = HTTP | {name: "hunter2:hunter2@/#hunter2", "JIT_STORE": "hunter2"}
    with pytest.raises(SettingsMistakes) as caught:
        load(env)
    shown = "".join(traceback.format_exception(caught.value, chain=True)) + repr(caught.value)
    assert "hunter2" not in shown


def test_a_password_that_splits_the_address_is_not_shown() -> None:
    env = without(REDIS_URL="redis://:hun/ter2@h:6379")
    with pytest.raises(SettingsMistakes) as caught:
        load(env)
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    assert "hun" not in shown
    assert "ter2" not in shown
