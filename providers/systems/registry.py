"""Finds provider classes by entry point and builds systems from config; it never holds a secret longer than that.

A provider is announced in its package's ``pyproject.toml``, ours and a stranger's alike::

    [project.entry-points."jit.systems"]
    openldap = "acme_jit.openldap:OpenLdap"
"""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from providers.systems.base import Json, ProviderError, System

GROUP = "jit.systems"
_LARGEST_SECRET = 64 * 1024
_EXTRAS = {"postgresql": "psycopg"}
"""Which of our own providers need an extra, and the module that tells whether it is installed."""
_MEMBERS = ("Config", "Params", *(name for name in vars(System) if not name.startswith("_")))


_VERBS = [verb for verb in vars(System) if not verb.startswith("_")] + ["Config", "Params"]


class Misconfigured(ProviderError):
    """A provider's name, config or secret reference is wrong: says which, and how to mend it."""


class Unknown(Misconfigured, LookupError):
    """No package that is installed has a provider of this name."""


def names() -> tuple[str, ...]:
    """Every provider that is installed, sorted."""
    return tuple(sorted({entry.name for entry in _entries()}))


def find(name: str) -> type[System]:
    """The provider class called ``name``. Raises `Unknown`, or `Misconfigured` for two or an unusable one.

    A class is there without its extra, so that a process that never connects can show what it would do.
    """
    entry = _entry(name)
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise Misconfigured(f"provider {name!r} ({entry.value}) cannot be imported: {error}") from error
    if lacks := [member for member in _MEMBERS if not hasattr(found, member)]:
        raise Misconfigured(f"provider {name!r} ({entry.value}) is no System: it lacks {', '.join(lacks)}")
    return cast("type[System]", found)


def build(provider: str, config: Mapping[str, Json], env: Mapping[str, str]) -> System:
    """The system of that provider, its references resolved and its config checked. Nothing is connected yet."""
    cls = find(provider)
    _need_extra(provider)
    try:
        checked = cls.Config.model_validate(resolve(config, env))
    except ValidationError as error:
        # Neither the text nor the cause may show a value: it may be a secret.
        raise Misconfigured(f"the config of provider {provider!r} is wrong: {_said(error)}") from None
    return cls(checked)


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


def _entries() -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=GROUP)


def _entry(name: str) -> importlib.metadata.EntryPoint:
    # An editable install can be listed twice, once a path entry; only two different classes are a dispute.
    found = {entry.value: entry for entry in _entries() if entry.name == name}
    if len(found) > 1:
        claims = " and ".join(f"{entry.value} of {_package(entry)}" for entry in found.values())
        raise Misconfigured(f"two packages claim the provider name {name!r}: {claims}; uninstall one of them")
    if not found:
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names()) or 'none'}"
        raise Unknown(f"no provider is called {name!r}: {hint}")
    return next(iter(found.values()))


def _package(entry: importlib.metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown package"


def _need_extra(name: str) -> None:
    module = _EXTRAS.get(name)
    if module is not None and importlib.util.find_spec(module) is None:
        raise Misconfigured(f"provider {name!r} needs more: pip install 'jit-access[{name}]'")


def _said(error: ValidationError) -> str:
    """Where and what, from pydantic's own words; an input is never part of them."""
    mistakes = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'config'}: {each['msg']}" for each in mistakes)
