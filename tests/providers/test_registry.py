"""How providers are found, built-in or a stranger's, and how their secrets get in without getting out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from providers.systems import registry
from providers.systems.base import Revealing, System
from providers.systems.postgresql.provider import PostgreSQL
from providers.systems.redis_acl import RedisAcl
from providers.systems.registry import Misconfigured, UnknownProvider
from providers.systems.sandbox import Sandbox


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for packages that are installed as a stranger's would be."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(site: Path, package: str, name: str, value: str) -> None:
    """A distribution with one entry point."""
    info = site / f"{package}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[jit.systems]\n{name} = {value}\n")


def test_the_built_in_ones_come_by_the_same_door() -> None:
    assert {"postgresql", "redis", "sandbox"} <= set(registry.names())
    found = [registry.find(name) for name in ("sandbox", "redis", "postgresql")]
    assert found == [Sandbox, RedisAcl, PostgreSQL]


def test_a_strangers_provider_is_found(site: Path) -> None:
    (site / "acme_doors.py").write_text("from providers.systems.sandbox import Sandbox as Doors\n")
    install(site, "acme", "acme-doors", "acme_doors:Doors")
    assert "acme-doors" in registry.names()
    assert registry.find("acme-doors") is Sandbox


def test_two_packages_with_one_name_are_a_mistake(site: Path) -> None:
    install(site, "evil", "sandbox", "evil:Sandbox")
    with pytest.raises(Misconfigured, match=r"two packages claim.*evil:Sandbox of evil"):
        registry.find("sandbox")


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownProvider, match="did you mean 'postgresql'"):
        registry.find("postgres")
    with pytest.raises(LookupError, match="there are "):
        registry.find("zzz")


def test_what_is_no_provider_is_told_what_it_lacks(site: Path) -> None:
    (site / "acme_half.py").write_text("class Half:\n    Config = Params = None\n    def check(self): ...\n")
    install(site, "acme", "half", "acme_half:Half")
    with pytest.raises(Misconfigured, match=r"lacks .*grant.*revoke"):
        registry.find("half")


def test_what_cannot_be_imported_says_why(site: Path) -> None:
    install(site, "acme", "gone", "acme_gone_module:Gone")
    with pytest.raises(Misconfigured, match="No module named 'acme_gone_module'"):
        registry.find("gone")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert registry.find("postgresql").consequence({"member_of": ["a"]}), "what it would do is shown without it"
    with pytest.raises(Misconfigured, match=r"pip install 'jit-access\[postgresql\]'"):
        registry.build("postgresql", {"dsn": "env:DSN"}, {"DSN": "x"})


def test_references_are_replaced_wherever_they_are(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("from a file\n")
    (tmp_path / "two").write_text("two\nlines\r\n")
    config = {
        "a": "env:A",
        "b": {"c": [f"file:{tmp_path}/one", {"d": f"file:{tmp_path}/two"}]},
        "plain": "environment:A",
        "n": 3,
    }
    assert registry.resolve(config, {"A": "from the environment"}) == {
        "a": "from the environment",
        "b": {"c": ["from a file", {"d": "two\nlines"}]},
        "plain": "environment:A",
        "n": 3,
    }
    assert config["a"] == "env:A"


@pytest.mark.parametrize("env", [{}, {"NAME": ""}])
def test_a_missing_variable_is_named(env: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match=r"db\.dsn\[1\]: the environment variable NAME is not set"):
        registry.resolve({"db": {"dsn": ["x", "env:NAME"]}}, env)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "is empty"), (b"x" * 65_537, "over 64 kB"), (b"\xff", "not UTF-8"), (None, "cannot be read")],
)
def test_a_file_that_holds_no_secret_says_so(tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(Misconfigured, match=told):
        registry.resolve({"key": f"file:{tmp_path}/secret"}, {})


def test_a_file_of_64_kb_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x" * 65_536)
    assert registry.resolve({"key": f"file:{tmp_path}/secret"}, {}) == {"key": "x" * 65_536}


def test_a_system_is_built_without_a_connection() -> None:
    built = registry.build("redis", {"url": "env:URL"}, {"URL": "redis://u:hunter2@127.0.0.1:1"})
    assert isinstance(built, RedisAcl)
    assert isinstance(built, System)
    assert isinstance(built, Revealing)
    assert "hunter2" not in repr(built)


@pytest.mark.parametrize(
    ("provider", "config"),
    [
        ("redis", {"url": "env:S"}),
        ("redis", {"url": ["env:S"]}),
        ("redis", {"url": "redis://x", "id": "env:S"}),
        ("redis", {"url": "redis://x", "uri": "env:S"}),
        ("postgresql", {"dsn": ["env:S"]}),
        ("postgresql", {"dsn": "x", "timeout": "env:S"}),
        ("sandbox", {"settles_within": "env:S"}),
    ],
)
def test_a_wrong_config_is_told_without_its_secret(provider: str, config: dict[str, object]) -> None:
    with pytest.raises(Misconfigured, match=f"the config of provider '{provider}' is wrong") as told:
        registry.build(provider, config, {"S": "hunter2!"})
    assert "hunter2" not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__
