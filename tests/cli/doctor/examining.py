"""Examines an environment in which all is well, but for what a test changes; what was found, by what was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bot.cli.doctor import examine as surgery
from bot.cli.doctor.checks import CheckResult, CheckVerdict
from bot.process.parts import ProcessRole
from bot.store.keyring import KeyRing

ROOT = Path(__file__).parents[3]
KEYS = KeyRing.generate("k2").spelled() + "\n" + KeyRing.generate("k1").spelled()
Env = dict[str, str]


REDIS_SYSTEM = """
  cache:
    title: Cache
    provider: redis
    config: {url: "env:CACHE_URL", id: cache}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      read: {grants: {keys: ["a:*"], commands: ["+get"]}, max: 1h, may_ask: [everyone]}
templates:"""


def policy(home: Path, text: str) -> str:
    (home / "jit.yaml").write_text(text, encoding="utf-8")
    return str(home / "jit.yaml")


def made_in(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()}


class Found:
    """The findings, by what was looked at."""

    def __init__(self, findings: list[CheckResult]) -> None:
        self.all = findings

    def of(self, check: str) -> list[CheckResult]:
        return [finding for finding in self.all if finding.check.startswith(check)]

    def one(self, check: str) -> CheckResult:
        [found] = self.of(check)
        return found

    def wrong(self) -> set[str]:
        return {finding.check for finding in self.all if finding.verdict is CheckVerdict.WRONG}

    def said(self, check: str, verdict: CheckVerdict = CheckVerdict.WRONG) -> str:
        found = [f"{f.found} -> {f.fix}" for f in self.of(check) if f.verdict is verdict]
        assert found, f"nothing of {check} is {verdict}: {self.of(check)}"
        return "\n".join(found)


async def look(env: Mapping[str, str], role: ProcessRole = "all", **more: str | None) -> Found:
    """Examine an environment with changes; None takes a setting away."""
    changed = {name: value for name, value in {**env, **more}.items() if value is not None}
    return Found(await surgery.findings(changed, role=role))


def has_no_secret(text: str, env: Mapping[str, str]) -> None:
    hidden = [env["SLACK_BOT_TOKEN"], env["SLACK_APP_TOKEN"], *KEYS.split(), *(k.split(":")[1] for k in KEYS.split())]
    assert not [secret for secret in hidden if secret in text]
