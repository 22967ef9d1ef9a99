"""Reads the policy from a file, or a folder of them, and checks it against the providers that are installed."""

from __future__ import annotations

import difflib
import functools
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from bot.policy.catalog import Catalog
from bot.policy.parse import parse
from bot.policy.problems import (
    ConfigFacts,
    InstalledDirectories,
    InstalledFactors,
    InstalledKinds,
    Mistake,
    PolicyMistakes,
    Sinks,
)
from bot.policy.pydantic_words import in_words
from bot.policy.yaml_source import Path as DataPath
from bot.policy.yaml_source import Source, SourcePlace
from providers.directories import registry as directory_registry
from providers.directories.base import Directory
from providers.registry import Installed
from providers.sinks import registry as sink_registry
from providers.systems import registry
from providers.systems.base import Capabilities, System

_MOST_BYTES = 1_000_000
_MOST_FILES = 100
_FACTORS: Installed[object] = Installed(group="jit.factors", noun="factor", shape="CodeFactor", members=())
_WHERE = "set JIT_POLICY to where yours is, or `jit init` writes one to start from"


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy, and what each of its files says word for word, as JSON by its name."""

    catalog: Catalog
    text: str


FileStamp = tuple[tuple[str, int, int, int, int], ...]
"""Of each file: its name, inode, size, and when its content and its inode changed last."""


def load(path: Path) -> Catalog:
    """The catalog of a file or a folder's ``*.yaml``. Raises `PolicyMistakes`, also for what cannot be read."""
    return read(path).catalog


def read(path: Path) -> LoadedPolicy:
    """The same with its text. Raises `PolicyMistakes`."""
    sources = [source(file) for file in _files(path)]
    catalog = parse(sources, facts, registry.names(), installed())
    return LoadedPolicy(catalog, json.dumps({source.file: source.text for source in sources}, ensure_ascii=False))


def file_stamp(path: Path) -> FileStamp:
    """Differs once a file is written, replaced, added or removed; empty where there is none to look at."""
    try:
        stats = [(file, file.stat()) for file in _files(path)]
    except (OSError, PolicyMistakes):
        return ()
    return tuple((file.name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for file, s in stats)


def full_text(path: Path, generation: str) -> str | None:
    """The text of a generation; None once the files say another."""
    try:
        found = read(path)
    except PolicyMistakes:
        return None
    return found.text if found.catalog.policy_hash == generation else None


def of_text(kept: str) -> Catalog | None:
    """The catalog of what `full_text` gave; None where this version, with what is installed here, cannot read it."""
    try:
        said = json.loads(kept)
        sources = [Source(str(name), str(text)) for name, text in said.items()]
        return parse(sources, facts, registry.names(), installed())
    except (PolicyMistakes, ValueError, AttributeError):
        return None


@functools.cache
def facts(name: str) -> ProviderSchema | None:
    """What a provider's classes say about configs and grants; None when it is not installed."""
    try:
        return ProviderSchema(registry.find(name))
    except registry.Misconfigured:
        return None


def installed() -> InstalledKinds:
    """The sinks, the directories and the factors that are installed."""
    directories = InstalledDirectories(directory_registry.names(), directory_facts)
    factors = InstalledFactors(_FACTORS.names())
    return InstalledKinds(Sinks(sink_registry.names(), sink_facts), directories, factors)


@functools.cache
def sink_facts(name: str) -> ConfigFacts | None:
    """What a sink's class says about configs; None when it is not installed."""
    try:
        return ConfigOnly(sink_registry.find(name).Config)
    except registry.Misconfigured:
        return None


@functools.cache
def directory_facts(name: str) -> DirectorySchema | None:
    """What a directory's class says about configs and groups; None when it is not installed."""
    try:
        return DirectorySchema(directory_registry.find(name))
    except registry.Misconfigured:
        return None


class ConfigOnly:
    """The shape of a config."""

    def __init__(self, shape: type[BaseModel]) -> None:
        """Keep it."""
        self._shape = shape

    def config_flaws(self, config: Mapping[str, Any]) -> Sequence[tuple[DataPath, str]]:
        """What is wrong; a reference is looked at when the worker resolves it, unless there is no such key."""
        known = {(name,) for name in config.keys() & self._shape.model_fields.keys()}
        found = [
            flaw
            for flaw in _flaws(self._shape, config)
            if (len(flaw[0]) == 1 and flaw[0] not in known) or not _is_reference(_value(config, flaw[0]))
        ]
        plain = set(_plain_secrets(self._shape, config, ()))
        sentence = "a secret is written as `env:NAME` or `file:PATH`, never in the policy file"
        return [
            *(flaw for flaw in found if flaw[0] not in plain),
            *((path, sentence) for path in sorted(plain, key=lambda path: tuple(map(str, path)))),
        ]


class DirectorySchema(ConfigOnly):
    """What one directory's class says."""

    def __init__(self, directory: type[Directory]) -> None:
        """Keep it."""
        super().__init__(directory.Config)
        self._directory = directory

    @property
    def shifts(self) -> bool:
        """Whether its people come and go by the clock, as on call."""
        return self._directory.capabilities().shifts

    def group_flaw(self, group: str) -> str:
        """What is wrong with the name of a group there; '' for nothing."""
        return self._directory.group_flaw(group)


class ProviderSchema(ConfigOnly):
    """One provider's shapes."""

    def __init__(self, provider: type[System]) -> None:
        """Keep its class."""
        super().__init__(provider.Config)
        self._provider = provider

    def params_flaws(self, grants: Mapping[str, Any]) -> Sequence[tuple[DataPath, str]]:
        """What is wrong with a role's ``grants``."""
        return _flaws(self._provider.Params, grants)

    def reveals(self, grants: Mapping[str, Any]) -> str:
        """What secrets of the system itself a role with these ``grants`` can read, which have no flaws."""
        return self._provider.capabilities(grants).reveals


def params_flaws(provider: str, params: Mapping[str, Any]) -> Sequence[tuple[DataPath, str]]:
    """What a provider says is wrong with the params of a role, whose inputs were given."""
    return ProviderSchema(_provider(provider)).params_flaws(params)


def consequence(provider: str, params: Mapping[str, Any]) -> str:
    """What a role allows, in a provider's own few words."""
    return _provider(provider).consequence(params)


def can_extend(provider: str, params: Mapping[str, Any]) -> bool:
    """Whether a provider can have a later end for a role."""
    return _provider(provider).capabilities(params).can_extend


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
        found = error.errors(include_input=False, include_url=False)
        return [(flaw["loc"], _sentence(flaw["loc"], flaw["type"], flaw["msg"], shape)) for flaw in found]
    return []


def _sentence(path: DataPath, kind: str, message: str, shape: type[BaseModel]) -> str:
    if kind != "extra_forbidden":
        return in_words(kind, message)
    if len(path) > 1:
        return f"there is no key `{path[-1]}` here"
    near = difflib.get_close_matches(str(path[0])[:80], shape.model_fields, n=1)
    if near:
        return f"there is no such key; did you mean `{near[0]}`?"
    return f"there is no such key; there are {', '.join(shape.model_fields)}"


def _value(config: Any, path: DataPath) -> Any:
    for part in path:
        try:
            config = config[part]
        except (KeyError, IndexError, TypeError):
            return None
    return config


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("env:", "file:"))


def _plain_secrets(annotation: Any, value: Any, path: DataPath) -> Iterator[DataPath]:
    """Where a value that the shape calls a secret is written out, at any depth."""
    if _is_reference(value):
        return
    if annotation in {SecretStr, SecretBytes}:
        yield path
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items() if isinstance(value, Mapping) else ():
            if name in value:
                yield from _plain_secrets(field.annotation, value[name], (*path, name))
    else:
        inside = get_origin(annotation) not in {Union, UnionType, Annotated}
        for inner, (below, part) in itertools.product(get_args(annotation), _parts(value) if inside else [((), value)]):
            yield from _plain_secrets(inner, part, (*path, *below))


def _parts(value: Any) -> list[tuple[DataPath, Any]]:
    """What a mapping or a list holds; anything else holds itself."""
    if isinstance(value, Mapping):
        return [((name,), part) for name, part in value.items()]
    return [((index,), part) for index, part in enumerate(value)] if isinstance(value, list) else [((), value)]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in [*path.glob("*.yaml"), *path.glob("*.yml")] if not _is_test(file))
    if not files or len(files) > _MOST_FILES:
        raise _unreadable(path, f"a folder of policy files has 1 to {_MOST_FILES} of *.yaml, and this has {len(files)}")
    return files


def _is_test(file: Path) -> bool:
    """Whether a file of a folder holds tests of the policy, and no part of it."""
    return file.stem.endswith(".test")


def source(path: Path) -> Source:
    """The text of one file. Raises `PolicyMistakes` where it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, f"it cannot be read: {error.strerror}", _WHERE) from error
    if len(content) > _MOST_BYTES:
        raise _unreadable(path, f"it has more than {_MOST_BYTES:,} bytes")
    try:
        return Source(str(path), content.decode())
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        mark = SourcePlace(str(path), before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise PolicyMistakes([Mistake(mark, "", "from here on it is not UTF-8", "save it as UTF-8")]) from error


def _unreadable(path: Path, sentence: str, hint: str = "") -> PolicyMistakes:
    return PolicyMistakes([Mistake(SourcePlace(str(path), 1, 1), "", sentence, hint)])
