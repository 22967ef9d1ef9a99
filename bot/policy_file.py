"""Reads the policy from a file, or a folder of them, and checks it against the providers that are installed."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from bot.core.catalog import Catalog, Mistake, PolicyMistakes, parse
from bot.core.yaml_source import Mark, Source
from bot.core.yaml_source import Path as DataPath
from providers.systems import registry
from providers.systems.base import Capabilities, System

_MOST_BYTES = 1_000_000
_MOST_FILES = 100


def load(path: Path) -> Catalog:
    """The catalog of a file or a folder's ``*.yaml``. Raises `PolicyMistakes`, also for what cannot be read."""
    return parse([_source(file) for file in _files(path)], facts, registry.names())


@functools.cache
def facts(name: str) -> Facts | None:
    """What a provider's classes say about configs and grants; None when it is not installed."""
    try:
        return Facts(registry.find(name))
    except registry.Misconfigured:
        return None


class Facts:
    """One provider's shapes."""

    def __init__(self, provider: type[System]) -> None:
        """Keep its class."""
        self._provider = provider

    def config_flaws(self, config: Mapping[str, Any]) -> Sequence[tuple[DataPath, str]]:
        """What is wrong; a value that is a reference is looked at when the worker resolves it."""
        found = [flaw for flaw in _flaws(self._provider.Config, config) if not _is_reference(_value(config, flaw[0]))]
        for name, field in self._provider.Config.model_fields.items():
            if _secret(field.annotation) and name in config and not _is_reference(config[name]):
                found.append(((name,), "a secret is written as `env:NAME` or `file:PATH`, never in the policy file"))
        return found

    def params_flaws(self, grants: Mapping[str, Any]) -> Sequence[tuple[DataPath, str]]:
        """What is wrong with a role's ``grants``."""
        return _flaws(self._provider.Params, grants)


def consequence(provider: str, params: Mapping[str, Any]) -> str:
    """What a role allows, in a provider's own few words."""
    return _provider(provider).consequence(params)


def capabilities(provider: str, params: Mapping[str, Any]) -> Capabilities:
    """What a provider can do for a role, and what may remain."""
    return _provider(provider).capabilities(params)


@functools.cache
def _provider(name: str) -> type[System]:
    """Looked up once: the packages of a running process do not change."""
    return registry.find(name)


def _flaws(shape: type[BaseModel], value: Mapping[str, Any]) -> list[tuple[DataPath, str]]:
    try:
        shape.model_validate(dict(value))
    except ValidationError as error:
        return [(_path(flaw["loc"]), _sentence(flaw["msg"], shape)) for flaw in error.errors(include_input=False)]
    return []


def _path(loc: tuple[int | str, ...]) -> DataPath:
    return tuple(loc)


def _sentence(message: str, shape: type[BaseModel]) -> str:
    message = message.removeprefix("Value error, ")
    if message == "Extra inputs are not permitted":
        return f"there is no such key; there are {', '.join(shape.model_fields)}"
    return message[:1].lower() + message[1:]


def _value(config: Any, path: DataPath) -> Any:
    for part in path:
        try:
            config = config[part]
        except (KeyError, IndexError, TypeError):
            return None
    return config


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("env:", "file:"))


def _secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_secret(inner) for inner in get_args(annotation))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
    if not files or len(files) > _MOST_FILES:
        raise _unreadable(path, f"a folder of policy files has 1 to {_MOST_FILES} of *.yaml, and this has {len(files)}")
    return files


def _source(path: Path) -> Source:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, f"it cannot be read: {error.strerror}; `jit init` writes one to start from") from error
    if len(content) > _MOST_BYTES:
        raise _unreadable(path, f"it has more than {_MOST_BYTES:,} bytes")
    try:
        return Source(str(path), content.decode())
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"it is not UTF-8 (byte {error.start})") from error


def _unreadable(path: Path, sentence: str) -> PolicyMistakes:
    return PolicyMistakes([Mistake(Mark(str(path), 1, 1), "", sentence)])
