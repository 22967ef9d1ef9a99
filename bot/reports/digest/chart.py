"""The chart of a digest, as PNG: its days by system, and the last thirty days. It is drawn in a process of its own.

It has a white background: no single colour has a contrast of 4.5:1 on both white and Slack's dark mode. The same facts
give the same bytes. It needs the extra `picture` (matplotlib), which is imported only to draw.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXTRA = "pip install 'jit-access[picture]'"
"""Installs matplotlib."""
MOST_ALT = 1_000
"""Characters of an alt text that Slack takes."""
GROUND, TEXT, LINES = "#FFFFFF", "#1D1C1D", "#767676"
SERIES = {"asked": "#0B4F9E", "opened": "#9A4B00", "closed": "#2E6B2E"}
"""The colour of each series; each has its own marker, and its number beside it."""
LABELS = {"asked": "requested", "opened": "granted", "closed": "revoked"}
_MOST_SYSTEMS = 10
_PATIENCE = 60.0
"""Seconds to draw: the first time, matplotlib builds its font cache."""
_WIDTH, _DPI, _RIGHT = 9.0, 150, 0.89
_ROW, _TOP, _BETWEEN, _BOTTOM = 0.62, 0.75, 0.85, 0.5
"""Inches."""
_SHORT_NAME, _LONG_NAME = 14, 30


class NoPicture(RuntimeError):
    """It could not be drawn; the sentence says why."""


@dataclass(frozen=True)
class Bar:
    """The activity of one system: requests, roles granted and revoked."""

    system: str
    asked: int
    opened: int
    closed: int


@dataclass(frozen=True)
class Dot:
    """One day of the trend."""

    day: str
    asked: int
    opened: int


@dataclass(frozen=True)
class Picture:
    """What is drawn, up to and with ``day``; ``first``: the first day, where it is another one."""

    day: str
    timezone: str
    systems: tuple[Bar, ...]
    trend: tuple[Dot, ...]
    first: str = ""

    @classmethod
    def of(cls, day: str, timezone: str, systems: Sequence[Bar], trend: Sequence[Dot], first: str = "") -> Picture:
        """The first systems, and the rest of them as one."""
        shown, rest = tuple(systems[:_MOST_SYSTEMS]), systems[_MOST_SYSTEMS:]
        if rest:
            sums = (sum(getattr(bar, name) for bar in rest) for name in SERIES)
            shown = (*shown, Bar(f"{len(rest)} more", *sums))
        return cls(day, timezone, shown, tuple(trend), "" if first == day else first)

    @property
    def days(self) -> str:
        """``Tuesday 24 November 2026``, or the first and the last day."""
        return f"{_long(self.first)} to {_long(self.day)}" if self.first else _long(self.day)

    @classmethod
    def parse(cls, text: str) -> Picture:
        """Reads what `spelled` wrote."""
        said: dict[str, Any] = json.loads(text)
        systems = tuple(Bar(**bar) for bar in said["systems"])
        return cls(said["day"], said["timezone"], systems, tuple(Dot(**dot) for dot in said["trend"]), said["first"])

    def spelled(self) -> str:
        """As JSON, for the process that draws."""
        return json.dumps(asdict(self))


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def alt(picture: Picture) -> str:
    """What the picture shows, in words and numbers."""
    bars = "; ".join(
        f"{bar.system}: {bar.asked} requested, {bar.opened} granted, {bar.closed} revoked" for bar in picture.systems
    )
    dots = ", ".join(f"{dot.asked}/{dot.opened}" for dot in picture.trend)
    said = (
        f"{picture.first and f'{picture.first} to '}{picture.day} by system: {bars or 'nothing'}. "
        f"Requested/granted a day over {len(picture.trend)} days to {picture.day}: {dots}."
    )
    return said if len(said) <= MOST_ALT else said[: MOST_ALT - 1] + "…"


async def drawn(picture: Picture, home: Path) -> bytes:
    """The PNG, drawn in a process of its own without this one's environment. Raises `NoPicture`."""
    cache = home / "matplotlib"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot.reports.digest.chart",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"MPLCONFIGDIR": str(cache), "PYTHONPATH": str(Path(__file__).parents[2]), "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            png, said = await process.communicate(picture.spelled().encode())
    except TimeoutError:
        raise NoPicture(f"it was not drawn within {_PATIENCE:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise NoPicture(said.decode(errors="replace").strip().rpartition("\n")[2][:200] or "matplotlib broke")
    return png


def png(picture: Picture) -> bytes:
    """The PNG, drawn in this process. Raises `NoPicture`."""
    if not available():
        raise NoPicture(f"matplotlib is not installed: {EXTRA}")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(1, len(picture.systems))
    heights = (0.1 + _ROW * rows, 2.4)
    whole = _TOP + _BETWEEN + _BOTTOM + sum(heights)
    figure = Figure(figsize=(_WIDTH, whole), dpi=_DPI, facecolor=GROUND, edgecolor=LINES, linewidth=3)
    canvas = FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, height_ratios=heights)
    _bars(above, picture)
    _trend(below, picture)
    if picture.systems:
        figure.legend(
            *above.get_legend_handles_labels(),
            loc="upper right",
            bbox_to_anchor=(_RIGHT, 1 - 0.1 / whole),
            ncols=3,
            frameon=False,
            fontsize=10,
            labelcolor="linecolor",
        )
    figure.subplots_adjust(
        left=0.3 if any(len(bar.system) > _SHORT_NAME for bar in picture.systems) else 0.15,
        right=_RIGHT,
        top=1 - _TOP / whole,
        bottom=_BOTTOM / whole,
        hspace=_BETWEEN / (sum(heights) / 2),
    )
    file = io.BytesIO()
    canvas.print_figure(file, format="png", facecolor=GROUND, edgecolor=LINES, metadata={"Software": None})
    return file.getvalue()


def _bars(axes: Axes, picture: Picture) -> None:
    """A row a system, a bar a series, each with its number."""
    most = max((max(bar.asked, bar.opened, bar.closed) for bar in picture.systems), default=0)
    thick = 0.27
    for n, (name, colour) in enumerate(SERIES.items()):
        counts = [int(getattr(bar, name)) for bar in picture.systems]
        places = [row + (n - 1) * thick for row in range(len(counts))]
        axes.barh(places, counts, height=thick * 0.86, color=colour, label=LABELS[name])
        for place, count in zip(places, counts, strict=True):
            axes.text(count + most * 0.01, place, f"{count}", va="center", fontsize=9, color=colour)
    _named(axes, f"{picture.days}, by system")
    if not picture.systems:
        nothing = "nothing was requested, granted or revoked"
        axes.text(0.5, 0.5, nothing, ha="center", va="center", fontsize=11, color=TEXT)
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
        return
    axes.set_yticks(range(len(picture.systems)), [_middle(bar.system) for bar in picture.systems], parse_math=False)
    axes.set(xlim=(0, max(1, most) * 1.08), ylim=(len(picture.systems) - 0.5, -0.5), xticks=[])
    axes.spines["bottom"].set_visible(False)


def _trend(axes: Axes, picture: Picture) -> None:
    """A line a series, the last day's number at its end."""
    days = range(len(picture.trend))
    series: Sequence[tuple[str, str, str, list[int]]] = (
        ("asked", "-", "o", [dot.asked for dot in picture.trend]),
        ("opened", "--", "s", [dot.opened for dot in picture.trend]),
    )
    most = max(1, *(count for _, _, _, counts in series for count in counts), 0)
    ends = _apart([counts[-1] if counts else 0 for _, _, _, counts in series], most * 0.14)
    for (name, style, mark, counts), end in zip(series, ends, strict=True):
        axes.plot(days, counts, style, marker=mark, markersize=4, linewidth=1.8, color=SERIES[name], clip_on=False)
        said = f"{LABELS[name]} {counts[-1] if counts else 0}"
        axes.text(len(days) - 0.3, end, said, va="center", fontsize=9, color=SERIES[name])
    _named(axes, f"{len(picture.trend)} days ({picture.timezone}): requests, roles granted")
    some = [*days][::-7][::-1]
    axes.set_xticks(some, [_short(picture.trend[n].day) for n in some])
    axes.set(xlim=(-0.5, len(days) - 0.5), ylim=(0, most * 1.12))
    axes.yaxis.set_major_locator(_whole())


def _named(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=12, color=TEXT, parse_math=False)
    axes.set_facecolor(GROUND)
    axes.tick_params(colors=TEXT, labelsize=10, length=3)
    for name, spine in axes.spines.items():
        spine.set_color(LINES)
        spine.set_visible(name in {"left", "bottom"})


def _apart(ends: list[int], least: float) -> list[float]:
    """The heights of two labels that overlap neither each other nor the axis."""
    first, second = map(float, ends)
    low = min(first, second)
    high = max(first, second, low + least)
    return [high, low] if first >= second else [low, high]


def _middle(name: str) -> str:
    """A name that fits; it keeps both ends, which tell systems apart."""
    return name if len(name) <= _LONG_NAME else f"{name[:16]}…{name[-13:]}"


def _whole() -> Any:
    """Ticks at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4, integer=True)


def _long(day: str) -> str:
    return date.fromisoformat(day).strftime("%A %d %B %Y")


def _short(day: str) -> str:
    return date.fromisoformat(day).strftime("%d %b")


if __name__ == "__main__":
    sys.stdout.buffer.write(png(Picture.parse(sys.stdin.read())))
