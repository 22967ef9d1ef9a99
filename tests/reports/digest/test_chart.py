"""The picture can be read by everyone on every ground, is the same each time, and holds nothing else up."""

from __future__ import annotations

import asyncio
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bot.reports.digest import chart as digest_picture
from bot.reports.digest.chart import GROUND, LINES, MOST_ALT, SERIES, TEXT, Bar, NoPicture, alt, drawn, png
from bot.reports.digest.facts import Digest
from tests.reports.digest.days import digest_of

WHITE, SLACKS_DARK = "#FFFFFF", "#1A1D21"


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio (WCAG 2.2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def shown(content: bytes, ground: str) -> Image.Image:
    """The picture as it lies on a ground."""
    picture = Image.open(io.BytesIO(content)).convert("RGBA")
    behind = Image.new("RGBA", picture.size, ground)
    behind.alpha_composite(picture)
    return behind.convert("RGB")


def colours(image: Image.Image) -> dict[str, int]:
    """How many pixels of each colour there are."""
    found = image.getcolors(maxcolors=1 << 24) or []
    return {"#" + "".join(f"{part:02X}" for part in rgb): count for count, rgb in found}  # type: ignore[union-attr]  # of an RGB image


@pytest.fixture(scope="module")
def busy() -> bytes:
    """The busy day's."""
    return png(digest_of("busy").picture)


def test_the_measure_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.01)


def test_no_colour_could_be_read_on_white_and_on_slacks_dark_without_a_ground_of_its_own() -> None:
    greys = [f"#{n:02X}{n:02X}{n:02X}" for n in range(256)]
    assert not [c for c in greys if min(contrast(c, WHITE), contrast(c, SLACKS_DARK)) >= 4.5]


@pytest.mark.parametrize("ground", [WHITE, SLACKS_DARK])
def test_all_text_and_every_mark_has_a_contrast_of_four_and_a_half_where_it_is_seen(busy: bytes, ground: str) -> None:
    there = colours(shown(busy, ground))
    assert max(there, key=lambda colour: there[colour]) == GROUND, "it lies on its own ground, wherever it is shown"
    for name, colour in {"text": TEXT, "lines": LINES, **SERIES}.items():
        assert there.get(colour, 0) > 50, f"{name} is drawn in this colour"
        assert contrast(colour, GROUND) >= 4.5, name
    marked = sum(there.get(colour, 0) for colour in (TEXT, LINES, *SERIES.values()))
    others = sum(there.values()) - marked - there[GROUND]
    assert others < marked, "beside those there are only the edges of letters and lines"


@pytest.mark.parametrize("ground", [WHITE, SLACKS_DARK])
def test_nothing_of_what_is_behind_shines_through(busy: bytes, ground: str) -> None:
    assert shown(busy, ground).tobytes() == shown(busy, "#FF00FF").tobytes()


def test_its_edge_is_seen_on_both_grounds() -> None:
    assert min(contrast(LINES, WHITE), contrast(LINES, SLACKS_DARK)) >= 3


def test_series_are_told_apart_by_more_than_their_colour(busy: bytes) -> None:
    """Each bar has its number, and the two lines of the trend have marks and dashes of their own."""
    code = Path(digest_picture.__file__).read_text(encoding="utf-8")
    assert re.search(r'\("asked", "-", "o"', code)
    assert re.search(r'\("opened", "--", "s"', code)
    without = replace(digest_of("busy").picture, systems=(Bar("vault", 0, 0, 0),))
    assert png(without) != busy


def test_the_same_facts_give_the_same_bytes_in_whichever_process(busy: bytes, tmp_path: Path) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "bot.reports.digest.chart"],
        input=digest_of("busy").picture.spelled().encode(),
        capture_output=True,
        check=True,
        env={**os.environ, "TZ": "Asia/Tokyo", "MPLCONFIGDIR": str(tmp_path), "MPLBACKEND": "svg"},
    )
    assert again.stdout == busy == png(digest_of("busy").picture)


def test_no_state_of_the_library_is_touched() -> None:
    code = """
import matplotlib, sys
from bot.reports.digest.chart import png
from tests.reports.digest.days import digest_of
def state():
    return {name: dict.__getitem__(matplotlib.rcParams, name) for name in dict.__iter__(matplotlib.rcParams)}
before = state()
png(digest_of("busy").picture)
assert state() == before
assert "matplotlib.pyplot" not in sys.modules, "which keeps each figure that was ever made"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_it_is_drawn_beside_the_process_which_imports_nothing_of_it(tmp_path: Path, busy: bytes) -> None:
    ticks, over = 0, asyncio.Event()

    async def tick() -> None:
        nonlocal ticks
        while not over.is_set():
            ticks += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    assert await drawn(digest_of("busy").picture, tmp_path) == busy
    over.set()
    await ticking
    assert ticks > 5


def test_the_bot_starts_without_importing_it() -> None:
    code = "import bot.app, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_the_process_beside_has_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\ncat >/dev/null\nenv\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-very-secret")
    assert b"xoxb" not in await drawn(digest_of("busy").picture, tmp_path)


async def test_one_that_breaks_or_takes_too_long_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'ImportError: no numpy' >&2\nexit 1\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(NoPicture, match="no numpy"):
        await drawn(digest_of("busy").picture, tmp_path)
    fake.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    monkeypatch.setattr(digest_picture, "_PATIENCE", 0.2)
    with pytest.raises(NoPicture, match="not drawn within"):
        await drawn(digest_of("busy").picture, tmp_path)


def test_without_the_extra_it_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_picture, "available", lambda: False)
    with pytest.raises(NoPicture, match=r"pip install 'jit-access\[picture\]'"):
        png(digest_of("busy").picture)


# in words


def test_the_alt_text_has_the_numbers() -> None:
    said = alt(digest_of("busy").picture)
    assert "vault: 5 requested, 2 granted, 2 revoked" in said
    assert said.endswith("2/1, 9/6.")


def many(digest: Digest) -> Digest:
    """The same day on forty systems of long names."""
    return replace(digest, systems=tuple(Bar(f"a-system-of-a-long-name-number-{n:02}", 99, 88, n) for n in range(40)))


def test_of_many_systems_the_rest_is_one_and_the_alt_text_fits() -> None:
    crowd = many(digest_of("busy"))
    picture = crowd.picture
    assert picture.systems[-1] == Bar("30 more", 99 * 30, 88 * 30, sum(range(10, 40)))
    assert len(alt(crowd.picture)) <= MOST_ALT
    assert png(picture).startswith(b"\x89PNG")


def test_a_name_is_never_taken_for_a_formula() -> None:
    odd = replace(digest_of("busy").picture, systems=(Bar("$\\frac{1$", 1, 1, 1),))
    assert png(odd).startswith(b"\x89PNG")
