"""Draws `flow.svg`, the assets of the pipeline in their five groups, from Dagster's own asset graph.

Each group is a box; within it an arrow leads from an asset to one that is made of it. Arrows that longer ways already
tell are left out. Narrow and with large letters, so that it can be read on a telephone.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from ml.palette import BLUE, GRID, INK, MUTED
from pipeline.definitions import defs

FILE: Final = Path(__file__).resolve().parent / "flow.svg"
GROUPS: Final = {
    "ingest": "Ask GBIF, clean the records, fetch the photographs",
    "dataset": "Choose the species, divide the photographs, pack them",
    "training": "Train the paper's networks",
    "evaluation": "Choose how sure each must be, and compare them",
    "release": "Refresh one network, judge it, and serve it",
}
"""The groups in the order of the flow, with what each is for."""
WIDTH: Final = 460
LETTER: Final = 7.4
"""Width of a letter of an asset's name, in pixels: rather too much than too little."""
HEIGHT: Final = 26
"""Of an asset's pill."""
STEP: Final = 50
"""From one row of assets to the next."""
GAP: Final = 10
"""Between two assets of a row."""


@dataclass(frozen=True, kw_only=True)
class Pill:
    """An asset where it is drawn."""

    name: str
    left: float
    top: float

    @property
    def width(self) -> float:
        """Of the pill, by the letters of the name."""
        return _width(self.name)

    @property
    def middle(self) -> float:
        """The centre from left to right."""
        return self.left + self.width / 2


def graph() -> tuple[dict[str, str], dict[str, frozenset[str]]]:
    """The group of every asset, and the assets that it is made of."""
    assets = defs.resolve_asset_graph()
    names = {key: key.to_user_string() for key in assets.toposorted_asset_keys}
    groups = {name: assets.get(key).group_name or "" for key, name in names.items()}
    parents = {name: frozenset(names[parent] for parent in assets.get(key).parent_keys) for key, name in names.items()}
    return groups, parents


def direct(parents: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """The same graph without the arrows that a longer way already tells (its transitive reduction)."""
    above: dict[str, frozenset[str]] = {}
    for name, near in parents.items():  # parents come first
        above[name] = near.union(*(above[parent] for parent in near))
    return {
        name: frozenset(parent for parent in near if not any(parent in above[other] for other in near))
        for name, near in parents.items()
    }


def rows(names: Sequence[str], arrows: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """The assets of a group in rows: below all that they are made of, and no row wider than the box."""
    depth: dict[str, int] = {}
    for name in names:
        depth[name] = max((depth[parent] + 1 for parent in arrows[name] if parent in depth), default=0)
    found: list[list[str]] = []
    for level in range(max(depth.values()) + 1):
        row: list[str] = []
        for name in (name for name in names if depth[name] == level):
            if row and _row_width([*row, name]) > WIDTH - 30:
                found.append(row)
                row = []
            row.append(name)
        found.append(row)
    return found


def draw() -> str:
    """The picture as SVG."""
    groups, parents = graph()
    arrows = direct(parents)
    parts: list[str] = []
    top = 10.0
    for number, (group, purpose) in enumerate(GROUPS.items(), start=1):
        names = [name for name, its in groups.items() if its == group]
        lines = rows(names, arrows)
        height = 58 + STEP * len(lines) - (STEP - HEIGHT) + 14
        parts.append(f'<rect class="box" x="10" y="{top:g}" width="{WIDTH - 20}" height="{height:g}" rx="10"/>')
        parts.append(f'<text class="group" x="24" y="{top + 24:g}">{number} {group}</text>')
        parts.append(f'<text class="purpose" x="24" y="{top + 43:g}">{escape(purpose)}</text>')
        pills = dict(_place(lines, top=top + 58))
        parts += _arrows(pills, arrows)
        parts += [_pill(pill) for pill in pills.values()]
        top += height
        if number < len(GROUPS):
            parts.append(f'<path class="next" d="M{WIDTH / 2:g},{top:g} v14" marker-end="url(#tip)"/>')
            top += 26
    return "\n".join([_head(round(top + 10)), *parts, "</svg>", ""])


STYLE: Final = f"""
text {{ font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }}
.box {{ fill: #f6f8f7; stroke: {GRID} }}
.group {{ font-size: 17px; font-weight: 700; fill: {INK} }}
.purpose {{ font-size: 13px; fill: {MUTED} }}
.pill {{ fill: #fff; stroke: {BLUE}; stroke-width: 1.3 }}
.name {{ font-size: 13.5px; fill: {INK}; text-anchor: middle }}
.arrow {{ fill: none; stroke: {MUTED}; stroke-width: 1.1 }}
.next {{ fill: none; stroke: {INK}; stroke-width: 2 }}
"""


def _head(height: int) -> str:
    words = f"The pipeline: {', '.join(f'{number} {group}' for number, group in enumerate(GROUPS, start=1))}"
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    tip = 'id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="6" markerHeight="6" orient="auto"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{words}">\n<title>{words}</title>\n'
        f"<style>{STYLE}</style>\n"
        f'<defs><marker {tip}><path d="M0,0 L8,4 L0,8 z" fill="{INK}"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    )


def _width(name: str) -> float:
    return LETTER * len(name) + 16


def _row_width(names: Iterable[str]) -> float:
    widths = [_width(name) for name in names]
    return sum(widths) + GAP * (len(widths) - 1)


def _place(lines: Sequence[Sequence[str]], *, top: float) -> Iterable[tuple[str, Pill]]:
    for line in lines:
        left = (WIDTH - _row_width(line)) / 2
        for name in line:
            yield name, Pill(name=name, left=left, top=top)
            left += _width(name) + GAP
        top += STEP


def _arrows(pills: Mapping[str, Pill], arrows: Mapping[str, frozenset[str]]) -> list[str]:
    return [
        f'<path class="arrow" d="M{start.middle:g},{start.top + HEIGHT:g} C{start.middle:g},{start.top + STEP:g} '
        f'{end.middle:g},{end.top - STEP + HEIGHT:g} {end.middle:g},{end.top - 2:g}" marker-end="url(#tip)"/>'
        for name, end in pills.items()
        for start in (pills[parent] for parent in sorted(arrows[name]) if parent in pills)
    ]


def _pill(pill: Pill) -> str:
    return (
        f'<rect class="pill" x="{pill.left:g}" y="{pill.top:g}" width="{pill.width:g}" height="{HEIGHT}" rx="13"/>'
        f'<text class="name" x="{pill.middle:g}" y="{pill.top + 17.5:g}">{escape(pill.name)}</text>'
    )


if __name__ == "__main__":
    os.environ.pop("NATUREWATCH_CONFIG", None)
    FILE.write_text(draw(), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
