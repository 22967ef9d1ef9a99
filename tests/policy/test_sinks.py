"""The sinks of a policy: a mistake is told with its place and what was meant, and no secret stands in the file."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from bot.policy import loader
from bot.policy.catalog import Catalog
from bot.policy.loader import facts
from bot.policy.parse import parse
from bot.policy.problems import Mistake, PolicyMistakes
from bot.policy.yaml_source import Source
from providers.systems import registry
from tests.policy.policies import WHOLE, marked

SINKS = """
  sinks:
    siem:
      kind: syslog
      format: ocsf
      from: now
      behind: 30m
      config: {host: siem.example.com, ca: /etc/ca.pem}
    hook:
      kind: webhook
      config: {url: "https://h.example.com/x", secret: "env:HOOK"}
groups:
"""


def read(text: str) -> Catalog:
    return parse([Source("a.yaml", text)], facts, registry.names(), loader.installed())


def with_sinks(sinks: str = SINKS) -> str:
    assert WHOLE.count("\ngroups:\n") == 1
    return WHOLE.replace("\ngroups:\n", sinks)


def mistakes(old: str, new: str) -> tuple[list[Mistake], str]:
    """What is wrong once a part is replaced, and where `HERE` was: line:column."""
    assert SINKS.count(old) == 1
    text, [mark] = marked(with_sinks(SINKS.replace(old, new)))
    with pytest.raises(PolicyMistakes) as told:
        read(text)
    return list(told.value.mistakes), f"{mark.line}:{mark.column}"


def test_sinks_are_read_with_what_they_leave_out() -> None:
    found = read(with_sinks()).workspace.sinks
    assert (found["siem"].format, found["siem"].begin, found["siem"].behind) == ("ocsf", "now", 1800)
    assert (found["hook"].format, found["hook"].begin, found["hook"].behind) == ("jsonl", "start", 900)
    assert read(with_sinks()).policy_hash != read(WHOLE).policy_hash


TABLE = {
    "an unknown kind": ("kind: syslog", "kind: ‸sislog", "siem.kind", "no sink `sislog`", "did you mean `syslog`?"),
    "a kind like none": ("kind: syslog", "kind: ‸zzz", "siem.kind", "no sink `zzz`", "there are file, otel, splunk"),
    "an unknown key": ("from: now", "‸form: now", "siem.form", "no key `form`", "`from`"),
    "a key of the code": ("from: now", "‸begin: now", "siem.begin", "no key `begin`", ""),
    "another beginning": ("from: now", "from: ‸yesterday", "siem.from", "should be 'start' or 'now'", ""),
    "another form": ("format: ocsf", "format: ‸cef", "siem.format", "should be 'jsonl' or 'ocsf'", ""),
    "no duration": ("behind: 30m", "behind: ‸30", "siem.behind", "write it like 30m", ""),
    "a key of a config": ("host: siem", "hots: ‸siem", "siem.config.hots", "did you mean `host`?", ""),
    "a wrong address": ('"https://h.', '‸"http://h.', "hook.config.url", "use https://", ""),
    "a plain secret": ('"env:HOOK"', "‸whsec_hunter2hunter2", "hook.config.secret", "written as `env:NAME`", ""),
    "a name that is none": ("    siem:", "    ‸SIEM:", "sinks.SIEM", "`SIEM` is no name", ""),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_mistake_is_told_with_its_place(name: str) -> None:
    old, new, path, sentence, hint = TABLE[name]
    found, place = mistakes(old, new)
    told = [each for each in found if each.path.endswith(path) and sentence in each.sentence]
    assert told, found
    assert hint in told[0].hint
    assert f"{told[0].mark.line}:{told[0].mark.column}" == place
    assert "hunter2" not in str(told[0])


def test_a_kind_that_is_missing_is_told_and_brings_no_other_mistake() -> None:
    with pytest.raises(PolicyMistakes) as told:
        read(with_sinks(SINKS.replace("      kind: syslog\n", "")))
    [mistake] = told.value.mistakes
    assert "`kind` is missing here" in mistake.sentence


def test_more_sinks_than_anyone_has_are_too_many() -> None:
    many = "".join(f"    s{n}: {{kind: file, config: {{path: /var/log/{n}}}}}\n" for n in range(21))
    with pytest.raises(PolicyMistakes, match="at most 20"):
        read(with_sinks(f"\n  sinks:\n{many}groups:\n"))


def test_the_guides_examples_are_good() -> None:
    guide = files("bot").joinpath("guides", "sinks.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\nworkspace:\n(.*?)```", guide, re.DOTALL)
    found = read(with_sinks(f"\n{example}groups:\n")).workspace.sinks
    assert {sink.kind for sink in found.values()} == set(loader.installed().sinks.names)
