"""Sinks are found by the same door as a stranger's, and are what they say without a connection."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.registry import UnknownProvider
from providers.secret_refs import Misconfigured
from providers.sinks import registry
from providers.sinks.base import Severity
from providers.sinks.file import FileSink
from providers.sinks.webhook import Webhook
from tests.providers.test_sinks import SECRET


def install(site: Path, package: str, name: str, value: str) -> None:
    """A distribution with one entry point."""
    info = site / f"{package}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[jit.sinks]\n{name} = {value}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for packages that are installed as a stranger's would be."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_ours_come_by_the_same_door_as_a_strangers(site: Path) -> None:
    (site / "acme_sinks.py").write_text("from providers.sinks.file import FileSink as Tape\n")
    install(site, "acme", "acme-tape", "acme_sinks:Tape")
    assert registry.names() == ("acme-tape", "file", "otel", "splunk", "syslog", "webhook")
    assert registry.find("acme-tape") is registry.find("file") is FileSink


def test_what_is_no_sink_is_told_what_it_lacks(site: Path) -> None:
    (site / "acme_half.py").write_text("class Half:\n    Config = None\n    def check(self): ...\n")
    install(site, "acme", "half", "acme_half:Half")
    with pytest.raises(Misconfigured, match=r"sink 'half' .*is no Sink: it lacks .*send"):
        registry.find("half")
    with pytest.raises(UnknownProvider, match="no sink is called 'syslgo': did you mean 'syslog'"):
        registry.find("syslgo")


def test_a_secret_comes_from_where_it_is_and_a_flaw_of_it_is_told_without_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    config = {"url": "https://h.example.com/x", "secret": f"file:{tmp_path}/secret"}
    assert isinstance(registry.build("webhook", config, {}), Webhook)
    with pytest.raises(Misconfigured) as told:
        registry.build("webhook", {**config, "secret": "env:HOOK"}, {"HOOK": "hunter2hunter2"})
    assert "the config of sink 'webhook' is wrong: secret:" in str(told.value)
    assert "hunter2" not in str(told.value)


def test_what_is_louder_is_louder_in_both_scales() -> None:
    order = [Severity.CRITICAL, Severity.WARNING, Severity.NOTICE, Severity.INFO]
    assert sorted(Severity, key=lambda each: each.syslog) == order
    assert sorted(Severity, key=lambda each: -each.otel) == order
