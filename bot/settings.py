"""The environment → settings; every one that is missing or wrong at once, each with what to do. It shows no secret.

The only module that reads the environment for the bot itself; a secret may stand in a file instead, named by
``NAME_FILE``.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.store.keyring import BadKeys, KeyRing
from bot.store.redis import address
from bot.store.redis.address import BadAddress

Role = Literal["all", "web", "worker", "store", "doctor"]
"""`store`: an operator at the terminal, who answers nobody and reaches the store alone. `doctor`: nothing is needed."""
_MOST_BYTES = 65_536


@dataclass(frozen=True)
class Setting:
    """One setting, for people: what it means, what it is without, and what to do when it is missing."""

    name: str
    meaning: str
    default: str = ""
    fix: str = ""
    secret: bool = False


SETTINGS = (
    Setting(
        "SLACK_BOT_TOKEN",
        "The bot's token",
        fix="copy the Bot User OAuth Token (xoxb-…) from your app's page, OAuth & Permissions",
        secret=True,
    ),
    Setting(
        "SLACK_SIGNING_SECRET",
        "Answer Slack over HTTP (web)",
        fix="copy the Signing Secret from your app's page, Basic Information",
        secret=True,
    ),
    Setting(
        "SLACK_APP_TOKEN",
        "Answer Slack over Socket Mode instead (web)",
        fix="make an app-level token (xapp-…) with connections:write on your app's page, Basic Information",
        secret=True,
    ),
    Setting("SLACK_API_URL", "Where Slack's Web API is", "https://slack.com/api/", "a URL that ends with /api/"),
    Setting(
        "REDIS_URL",
        "The store: redis://, rediss://, unix://, redis+sentinel://host:port,…/service or redis+cluster://host:port",
        fix="set it to your Redis, or set JIT_STORE=embedded to have one on this machine",
        secret=True,
    ),
    Setting(
        "JIT_STORE", "`embedded`: a store of our own, on one machine, with --role all", fix="the one value is embedded"
    ),
    Setting(
        "JIT_REPLICAS",
        "How many replicas of Redis must have the record before access is opened",
        "1 once Redis had one, else 0",
        "a number, 0 for none",
    ),
    Setting("JIT_POLICY", "The policy file, or a folder of them", "jit.yaml", "`jit init` writes one to start from"),
    Setting(
        "JIT_HOME", "Where the embedded store and its keys are", "~/.local/state/jit", "a folder that you can write"
    ),
    Setting(
        "JIT_KEYS",
        "The keys that seal records, `id:base64`, the current one first",
        "made in JIT_HOME with the embedded store",
        "`jit keys` prints one; every replica needs the same",
        secret=True,
    ),
    Setting(
        "JIT_ARCHIVE_URL",
        "Where audit events stay for years: sqlite:///PATH or postgresql://…; every worker needs the same",
        "SQLite, archive.db in JIT_HOME",
        "sqlite:///PATH on one host, postgresql://user:password@host/name for several",
        secret=True,
    ),
    Setting("HOST", "The address on which Slack is answered over HTTP", "0.0.0.0", "an address of this machine"),  # noqa: S104
    Setting(
        "PORT", "The port on which Slack is answered over HTTP (POST /slack/events)", "3000", "a free port, 0 for any"
    ),
    Setting("JIT_OPS_HOST", "The address of health and metrics", "127.0.0.1", "an address of this machine"),
    Setting("JIT_OPS_PORT", "The port of /healthz, /readyz and /metrics", "3001", "a free port, 0 for none"),
    Setting(
        "JIT_LOG",
        "The form of the log, which goes to stderr: `json`, one object a line, or `pretty`",
        "pretty on a terminal, else json",
        "one of json, pretty",
    ),
    Setting("JIT_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", "INFO", "one of DEBUG, INFO, WARNING, ERROR"),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


class SettingsMistakes(ValueError):
    """Every mistake of the environment, each with what to do."""

    def __init__(self, mistakes: list[str]) -> None:
        """Keep them in order."""
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(mistakes))


class Settings(BaseSettings):
    """What the environment says. Secrets are hidden in every repr."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, populate_by_name=True)

    slack_bot_token: SecretStr | None = Field(None, alias="SLACK_BOT_TOKEN")
    slack_signing_secret: SecretStr | None = Field(None, alias="SLACK_SIGNING_SECRET")
    slack_app_token: SecretStr | None = Field(None, alias="SLACK_APP_TOKEN")
    slack_api_url: str = Field("https://slack.com/api/", alias="SLACK_API_URL", pattern=r"^https?://\S+/$")
    redis_url: SecretStr | None = Field(None, alias="REDIS_URL")
    store: Literal["embedded"] | None = Field(None, alias="JIT_STORE")
    replicas: int | None = Field(None, alias="JIT_REPLICAS", ge=0, le=100)
    policy: Path = Field(Path("jit.yaml"), alias="JIT_POLICY")
    home: Path = Field(default_factory=lambda: _state_home(os.environ) / "jit", alias="JIT_HOME")
    keys: SecretStr | None = Field(None, alias="JIT_KEYS")
    archive_url: SecretStr | None = Field(None, alias="JIT_ARCHIVE_URL")
    host: str = Field("0.0.0.0", alias="HOST")  # noqa: S104  # the platform's router is in front
    port: int = Field(3000, alias="PORT", ge=0, le=65_535)
    ops_host: str = Field("127.0.0.1", alias="JIT_OPS_HOST")
    ops_port: int = Field(3001, alias="JIT_OPS_PORT", ge=0, le=65_535)
    log: Literal["json", "pretty"] | None = Field(None, alias="JIT_LOG")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", alias="JIT_LOG_LEVEL")

    def secrets(self) -> list[str]:
        """What no log and no finding may show."""
        held = (getattr(self, name) for name in type(self).model_fields)
        return [value.get_secret_value() for value in held if isinstance(value, SecretStr)]

    @field_validator("policy", "home")
    @classmethod
    def _at_home(cls, path: Path) -> Path:
        """``~`` as a shell reads it: no shell has read what stands in a unit or a compose file."""
        return path.expanduser()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` passes in: it has read the environment, and the files it names, once."""
        return (init_settings,)


def load(env: Mapping[str, str] | None = None, role: Role = "all") -> Settings:
    """The settings of a role. Raises `SettingsMistakes` with every mistake at once."""
    env = os.environ if env is None else env
    mistakes: list[str] = []
    values = _values(env, mistakes)
    named = {setting.name for setting in SETTINGS if any(_given(env, setting))}
    settings: Settings | None = None
    try:
        settings = Settings(**values)  # type: ignore[arg-type]  # pydantic reads the texts
    except ValidationError as error:
        flaws = error.errors(include_input=False, include_url=False)
        mistakes += [_wrong(str(flaw["loc"][0]), flaw["msg"]) for flaw in flaws]
    mistakes += _lacking(named, role) + _malformed(values)
    mistakes += _misspelt(env)
    if mistakes or settings is None:
        raise SettingsMistakes(mistakes)
    return settings


def environment() -> Mapping[str, str]:
    """The environment as it is, for what a policy only refers to."""
    return os.environ


def _given(env: Mapping[str, str], setting: Setting) -> tuple[str, str]:
    """What is set for a setting: directly, and for a secret by the name of a file."""
    file = env.get(f"{setting.name}_FILE", "") if setting.secret else ""
    return env.get(setting.name, "").strip(), file.strip()


def _values(env: Mapping[str, str], mistakes: list[str]) -> dict[str, str]:
    """Each setting that is set, from the environment or from the file that it names."""
    values = {"JIT_HOME": str(_state_home(env) / "jit")}
    for setting in SETTINGS:
        direct, file = _given(env, setting)
        if direct and file:
            mistakes.append(f"{setting.name} and {setting.name}_FILE are both set: keep one")
        elif direct:
            values[setting.name] = direct
        elif file:
            try:
                values[setting.name] = _content(Path(file))
            except _Unusable as error:
                mistakes.append(f"{setting.name}_FILE: {file} {error}; {setting.fix}")
    return values


class _Unusable(Exception):
    """A secret's file that gives no secret."""


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode().strip()
    except OSError as error:
        raise _Unusable(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _Unusable("is not text") from None
    if not text:
        raise _Unusable("is empty")
    if len(content) > _MOST_BYTES:
        raise _Unusable(f"is longer than {_MOST_BYTES} bytes")
    return text


def _lacking(named: set[str], role: Role) -> list[str]:
    """What a role cannot do without, and what does not go together."""
    if role == "doctor":  # it says itself what is missing
        return [s for s in _answering(named, "all") + _storing(named, "all") if " is missing: " not in s]
    # An operator's store says itself whose it is.
    said = [] if role == "store" or "SLACK_BOT_TOKEN" in named else [_missing("SLACK_BOT_TOKEN")]
    return said + _answering(named, role) + _storing(named, role)


def _answering(named: set[str], role: Role) -> list[str]:
    signing, app = "SLACK_SIGNING_SECRET" in named, "SLACK_APP_TOKEN" in named
    if role in {"worker", "store"} or signing != app:
        return []
    if signing:
        keep = "keep SLACK_APP_TOKEN for Socket Mode (the app that `jit manifest` prints), or SLACK_SIGNING_SECRET"
        return [f"SLACK_SIGNING_SECRET and SLACK_APP_TOKEN are both set: {keep} for HTTP, and unset the other"]
    http, socket = _BY_NAME["SLACK_SIGNING_SECRET"].fix, _BY_NAME["SLACK_APP_TOKEN"].fix
    return [f"SLACK_SIGNING_SECRET (HTTP) or SLACK_APP_TOKEN (Socket Mode) is missing: {http}; or {socket}"]


def _storing(named: set[str], role: Role) -> list[str]:
    url, embedded = "REDIS_URL" in named, "JIT_STORE" in named
    said = []
    if url and embedded:
        said.append("REDIS_URL and JIT_STORE are both set: keep one, they are two different stores")
    elif not url and not embedded:
        said.append(_missing("REDIS_URL"))
    if url and "JIT_KEYS" not in named:
        said.append(_missing("JIT_KEYS"))
    if embedded and role not in {"all", "store"}:
        said.append("JIT_STORE=embedded is for one process (--role all): set REDIS_URL to run web and worker apart")
    return said


def _malformed(values: Mapping[str, str]) -> list[str]:
    """What is set and cannot be right; none of it is repeated, since it may be a secret."""
    said = [flaw for name in _FORMS for flaw in _other_kind(name, values.get(name, ""))]
    if not re.match(r"(?!http://)|http://(localhost|127\.[\d.]+|\[::1\])[:/]", values.get("SLACK_API_URL", "")):
        said.append("SLACK_API_URL would have the token sent in the clear: use https:// (http:// is for this machine)")
    if not re.match(r"sqlite:///.|postgresql(\+psycopg)?://.", values.get("JIT_ARCHIVE_URL", "sqlite:///default")):
        said.append(f"JIT_ARCHIVE_URL is no archive's address: {_BY_NAME['JIT_ARCHIVE_URL'].fix}")
    if url := values.get("REDIS_URL"):
        said += _store_address(url)
    if keys := values.get("JIT_KEYS"):
        try:
            KeyRing.parse(keys)
        except BadKeys as error:
            said.append(f"JIT_KEYS: {error}")
    return said


_FORMS = {"SLACK_BOT_TOKEN": "xoxb-", "SLACK_APP_TOKEN": "xapp-", "SLACK_SIGNING_SECRET": ""}
"""What each of Slack's secrets begins with."""
_KINDS = {
    "xoxb-": ("is a bot token", "that belongs in SLACK_BOT_TOKEN; "),
    "xapp-": ("is an app-level token", "that belongs in SLACK_APP_TOKEN; "),
    "xoxp-": ("is a user token (xoxp-…), which acts as a person", ""),
    "xoxe": ("is a configuration or refresh token (xoxe…)", ""),
    "xox": ("is a token of another kind", ""),
}
_SIGNING = ("looks like the signing secret", "that belongs in SLACK_SIGNING_SECRET; ")


def _other_kind(name: str, value: str) -> list[str]:
    """What is wrong with a secret of Slack's that is another one than its name says, as far as that can be seen."""
    wanted, fix = _FORMS[name], _BY_NAME[name].fix
    if not value or (wanted and value.startswith(wanted)):
        return []
    known = next((said for prefix, said in _KINDS.items() if value.startswith(prefix)), None)
    if known is None and wanted:
        known = _SIGNING if re.fullmatch(r"[0-9a-f]{32}", value) else (f"does not begin with {wanted}", "")
    return [f"{name} {known[0]}: {known[1]}{fix}"] if known else []


def _store_address(url: str) -> list[str]:
    try:
        address.parse(url)
    except BadAddress as error:
        return [f"REDIS_URL {error}"]
    return []


def _missing(name: str) -> str:
    return f"{name} is missing: {_BY_NAME[name].fix}"


def _wrong(name: str, message: str) -> str:
    fix = _BY_NAME[name].fix if name in _BY_NAME else ""
    return f"{name} is wrong ({message[:1].lower() + message[1:]}): {fix}"


def _misspelt(env: Mapping[str, str]) -> list[str]:
    """A name that is almost one of ours, where ours is not set: a typo that would go unseen."""
    known = [setting.name for setting in SETTINGS]
    known += [f"{setting.name}_FILE" for setting in SETTINGS if setting.secret]
    said = []
    for name in env:
        if name in known or not name.startswith(("JIT_", "SLACK_")):
            continue
        if name.removesuffix("_FILE") in known:
            said.append(f"{name} is no setting: only a secret may stand in a file; set {name.removesuffix('_FILE')}")
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if near and near[0] not in env:
            said.append(f"{name} is no setting: did you mean {near[0]}?")
    return said


def _state_home(env: Mapping[str, str]) -> Path:
    """XDG's place for state (XDG Base Directory Specification 0.8, which has relative paths ignored)."""
    named = Path(env.get("XDG_STATE_HOME", ""))
    return named if named.is_absolute() else Path(env.get("HOME") or Path.home()) / ".local" / "state"
