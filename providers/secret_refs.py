"""Secrets by reference: what ``env:NAME`` and ``file:PATH`` in a config lead to; it keeps nothing and shows nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from providers.base import Json, ProviderError

_LARGEST_SECRET = 64 * 1024


class Misconfigured(ProviderError):
    """A provider's name, config or secret reference is wrong: says which, and how to mend it."""


def is_reference(value: object) -> bool:
    """Whether a config's value only says where a secret is: ``env:NAME`` or ``file:PATH``."""
    return isinstance(value, str) and value.startswith(("env:", "file:"))


def resolve(config: Mapping[str, Json], env: Mapping[str, str]) -> dict[str, Any]:
    """The config with each ``env:NAME`` and ``file:PATH``, at any depth, replaced by what it refers to."""
    return {key: _resolved(value, env, key) for key, value in config.items()}


def _resolved(value: Json, env: Mapping[str, str], where: str) -> Json:
    if is_reference(value):
        kind, _, name = value.partition(":")
        return _from_env(name, env, where) if kind == "env" else _from_file(name, where)
    if isinstance(value, Mapping):
        return {key: _resolved(inner, env, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(inner, env, f"{where}[{n}]") for n, inner in enumerate(value)]
    return value


def _from_env(name: str, env: Mapping[str, str], where: str) -> str:
    if not (value := env.get(name)):
        raise Misconfigured(f"{where}: the environment variable {name} is not set: set it for the worker's process")
    return value


def _from_file(name: str, where: str) -> str:
    try:
        with Path(name).open("rb") as file:
            content = file.read(_LARGEST_SECRET + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise Misconfigured(f"{where}: the file {name} cannot be read ({reason}): mount it for the worker") from None
    if len(content) > _LARGEST_SECRET:
        raise Misconfigured(f"{where}: the file {name} is over 64 kB: it should hold one secret and nothing else")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Misconfigured(f"{where}: the file {name} is not UTF-8 text") from None
    value = text.removesuffix("\n").removesuffix("\r")
    if not value:
        raise Misconfigured(f"{where}: the file {name} is empty")
    return value
