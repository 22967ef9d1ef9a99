"""`python -m tests.cards [OUT.html]` writes the page, and says where."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.cards.page import page

if __name__ == "__main__":
    given = sys.argv[1:2] or [str(Path(tempfile.gettempdir()) / "jit-cards.html")]
    Path(given[0]).write_text(page(), encoding="utf-8")
    print(given[0])
