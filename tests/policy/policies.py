"""A whole policy for tests to break, and the reading of it against the real providers."""

from __future__ import annotations

from bot.policy.catalog import Catalog
from bot.policy.loader import facts, installed
from bot.policy.parse import parse
from bot.policy.problems import Mistake, PolicyMistakes
from bot.policy.yaml_source import Source, SourcePlace
from providers.systems import registry

HERE = "‸"
"""Put into a policy where its mistake is expected."""
WHOLE = """\
version: 1
workspace:
  audit_channel: C0AUDIT01
  mfa: {request: off}
  operators: [platform]
groups:
  dba: {slack_usergroup: S0DBA0001}
  platform: {people: [pat@example.com, kim@example.com]}
systems:
  prod-db:
    title: Production
    provider: postgresql
    config: {dsn: "env:PROD_DB_DSN"}
    channel: C0PRODDB1
    approvers: [dba]
    roles:
      read-only:
        grants: {member_of: [app_readers]}
        sensitivity: low
        max: 8h
        may_ask: [everyone]
      admin:
        grants: {member_of: [prod_admin]}
        max: 1h
        may_ask: [dba]
        approval: {steps: [{any_of: [dba]}, {any_of: [platform], count: 2}]}
templates:
  debug:
    title: Debug production
    roles: [prod-db/read-only]
    durations: [30m, 1h, 4h]
    reason: {hint: Ticket, pattern: "[A-Z]+-[0-9]+", example: INC-42}
"""


def catalog(*texts: str) -> Catalog:
    """The catalog of one or more files, called a.yaml, b.yaml and so on. Raises `PolicyMistakes`."""
    sources = [Source(f"{name}.yaml", text) for name, text in zip("abc", texts, strict=False)]
    return parse(sources, facts, registry.names(), installed())


def mistakes(*texts: str) -> tuple[Mistake, ...]:
    """What is wrong with it."""
    try:
        catalog(*texts)
    except PolicyMistakes as error:
        return error.mistakes
    return ()


def broken(old: str, new: str) -> tuple[str, list[SourcePlace]]:
    """The whole policy with one part replaced, and the marks of the `HERE` in it, which are taken out."""
    assert WHOLE.count(old) == 1, f"{old!r} stands {WHOLE.count(old)} times in the policy"
    return marked(WHOLE.replace(old, new))


def marked(text: str) -> tuple[str, list[SourcePlace]]:
    """A text without its `HERE`, and where they were."""
    marks = []
    while (place := text.find(HERE)) >= 0:
        marks.append(SourcePlace("a.yaml", text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)))
        text = text.replace(HERE, "", 1)
    return text, marks
