"""Writes what is generated into the README: the state diagram and the table of settings. `python -m tests.readme`."""

from __future__ import annotations

import re
from pathlib import Path

from bot.core import lifecycle
from bot.settings import SETTINGS

README = Path(__file__).parents[1] / "README.md"


def generated() -> dict[str, str]:
    """Each part by the name in its comment."""
    rows = [f"| `{s.name}` | {s.meaning} | {s.default or 'none'} |" for s in SETTINGS]
    table = "\n".join(["| variable | meaning | default |", "| --- | --- | --- |", *rows])
    return {"states": f"```mermaid\n{lifecycle.diagram()}\n```", "settings": table}


def written(text: str) -> str:
    """The README with its generated parts renewed."""
    for name, part in generated().items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        text = re.sub(pattern, lambda m, part=part: m[1] + part + m[2], text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
