"""The policy is read from a file or a folder of them; what cannot be read is told like any other mistake."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import cast

import pytest
from pydantic import BaseModel, SecretStr

from bot.policy import loader
from bot.policy.problems import PolicyMistakes
from providers.systems import registry
from providers.systems.base import InMemory, System
from tests.policy.policies import WHOLE, catalog


def told(path: Path) -> list[str]:
    """The lines of what is wrong, without the folder."""
    with pytest.raises(PolicyMistakes) as caught:
        loader.load(path)
    return [str(mistake).removeprefix(f"{path.parent}/") for mistake in caught.value.mistakes]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a policy is written."""
    return tmp_path / "jit.yaml"


def starter() -> str:
    """What `jit init` writes."""
    return files("bot").joinpath("guides", "starter.yaml").read_text(encoding="utf-8")


def test_the_starter_passes_as_it_is(file: Path) -> None:
    file.write_text(starter(), encoding="utf-8")
    found = loader.load(file)
    assert [choice.name for choice in found.choices()] == ["debug", "sandbox/read-only", "sandbox/admin"]


def test_the_starters_roles_are_announced_as_what_they_are_and_every_process_sees_its_sandbox(file: Path) -> None:
    file.write_text(starter(), encoding="utf-8")
    sandbox = loader.load(file).systems["sandbox"]
    said = {name: loader.consequence("sandbox", role.samples[0]) for name, role in sandbox.roles.items()}
    assert said["read-only"].endswith("read only")
    assert said["admin"].endswith("can write")
    built = registry.build("sandbox", sandbox.config, {})
    assert isinstance(built, InMemory)
    assert built.in_memory == ""


def test_the_starters_examples_pass_when_they_are_uncommented(file: Path) -> None:
    lines = [line.replace("# ", "", 1) if line.startswith("  # ") else line for line in starter().splitlines()]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert set(loader.load(file).systems) == {"sandbox", "prod-db"}


def test_a_folder_is_read_as_one_policy(tmp_path: Path) -> None:
    head, tail = WHOLE.split("templates:\n")
    (tmp_path / "a.yaml").write_text(head, encoding="utf-8")
    (tmp_path / "b.yml").write_text(f"templates:\n{tail}", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no: policy: at: all", encoding="utf-8")
    assert loader.load(tmp_path) == catalog(WHOLE)


def test_a_mistake_names_the_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(WHOLE, encoding="utf-8")
    (tmp_path / "b.yaml").write_text("group: {}\n", encoding="utf-8")
    with pytest.raises(PolicyMistakes) as caught:
        loader.load(tmp_path)
    assert [mistake.mark.file for mistake in caught.value.mistakes] == [str(tmp_path / "b.yaml")]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    assert "has 1 to 100 of *.yaml, and this has 0" in told(tmp_path)[0]


def test_a_folder_of_very_many_files_is_told(tmp_path: Path) -> None:
    for number in range(101):
        (tmp_path / f"{number}.yaml").touch()
    assert "and this has 101" in told(tmp_path)[0]


def test_a_file_that_is_not_there_is_told(file: Path) -> None:
    [said] = told(file)
    assert said.startswith("jit.yaml:1:1: it cannot be read: No such file or directory; set JIT_POLICY to where yours ")
    assert said.endswith("is, or `jit init` writes one to start from")


def test_a_folder_called_like_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    assert "it cannot be read: Is a directory" in told(tmp_path)[0]


def test_a_file_that_is_too_big_is_told(file: Path) -> None:
    file.write_bytes(b"#" * 1_000_001)
    assert told(file) == ["jit.yaml:1:1: it has more than 1,000,000 bytes"]


@pytest.mark.parametrize(
    ("content", "place"), [(b"version: 1\n# caf\xe9\n", "2:6"), ("version".encode("utf-16"), "1:1"), (b"\xc3", "1:1")]
)
def test_a_file_in_another_encoding_is_told(file: Path, content: bytes, place: str) -> None:
    file.write_bytes(content)
    assert told(file) == [f"jit.yaml:{place}: from here on it is not UTF-8; save it as UTF-8"]


@pytest.mark.parametrize("name", registry.names())
def test_every_providers_configs_and_grants_are_looked_at(name: str) -> None:
    facts = loader.facts(name)
    assert facts
    assert ("nonsense",) in {path for path, _ in facts.config_flaws({"nonsense": 1})}
    assert ("nonsense",) in {path for path, _ in facts.params_flaws({"nonsense": 1})}


def test_a_provider_that_is_not_there_has_no_facts() -> None:
    assert loader.facts("no-such-provider") is None


@pytest.mark.parametrize("dsn", ["postgresql://jit:hunter2@db/prod", "", 12, None, ["env:A"]])
def test_a_secret_that_is_no_reference_is_told_and_not_repeated(dsn: object) -> None:
    facts = loader.facts("postgresql")
    assert facts
    flaws = facts.config_flaws({"dsn": dsn})
    assert any("`env:NAME` or `file:PATH`" in sentence for _, sentence in flaws)
    assert "hunter2" not in str(flaws)


class Bind(BaseModel):
    """A name and its password."""

    name: str
    password: SecretStr


class Stranger:
    """As much of somebody's provider as the policy looks at, with secrets at every depth."""

    class Config(BaseModel):
        """The shape."""

        keys: Mapping[str, SecretStr] = {}
        binds: list[Bind] = []
        token: SecretStr | None = None


SECRETS: list[tuple[dict[str, object], list[tuple[str | int, ...]]]] = [
    ({"keys": {"a": "hunter2", "b": "env:B"}}, [("keys", "a")]),
    ({"binds": [{"name": "x", "password": "env:A"}, {"name": "y", "password": "hunter2"}]}, [("binds", 1, "password")]),
    ({"token": "hunter2"}, [("token",)]),
    ({"keys": "file:/run/secrets/keys", "token": "env:TOKEN"}, []),
    ({"keys": {"a": "env:A"}, "binds": [{"name": "x", "password": "file:/p"}]}, []),
]


@pytest.mark.parametrize(("config", "plain"), SECRETS)
def test_a_plain_secret_is_found_at_any_depth(config: dict[str, object], plain: list[tuple[str | int, ...]]) -> None:
    flaws = loader.ProviderSchema(cast("type[System]", Stranger)).config_flaws(config)
    assert [path for path, sentence in flaws if "`env:NAME`" in sentence] == plain
    assert "hunter2" not in str(flaws)


def test_any_value_of_a_config_may_be_a_reference() -> None:
    facts = loader.facts("postgresql")
    assert facts
    assert facts.config_flaws({"dsn": "file:/run/secrets/dsn", "timeout": "env:TIMEOUT"}) == []
