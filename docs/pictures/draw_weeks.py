"""Draws twelve-weeks.png from bench/results/twelve_weeks.json: `.venv/bin/python -m docs.pictures.draw_weeks`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bench.harness import RESULTS
from bench.twelve_weeks import MARGIN
from ml.evaluation.drawing import figure_of, tidy
from ml.palette import BLUE, DPI, GOLD, GREEN, INK, MUTED, POINTS, SMALL, VERMILION

OUTPUT = Path(__file__).resolve().parent / "twelve-weeks.png"
WIDTH = 7.2
"""Inches."""

Row = dict[str, Any]


def drawn() -> Figure:
    """The first world: how good champion and challengers are, and what each week cost."""
    rows: list[Row] = json.loads((RESULTS / "twelve_weeks.json").read_text(encoding="utf-8"))["rows"]
    rows = [row for row in rows if row["world"] == 1]
    weeks = np.array([row["week"] for row in rows])
    figure = figure_of(WIDTH, 8.2)
    quality, changed, requests, steps = figure.subplots(4, 1, sharex=True, height_ratios=(2.6, 1.3, 1, 1))
    _draw_quality(quality, rows, weeks)
    tidy(changed, title="Photographs that changed", grid=False)
    new, renamed = (np.array([row[name] for row in rows]) for name in ("new", "renamed"))
    changed.bar(weeks, new, color=BLUE, width=0.7, label="new")
    changed.bar(weeks, renamed, bottom=new, color=GOLD, hatch="///", edgecolor="white", linewidth=0, width=0.7,
                label="renamed")  # fmt: skip
    _write(changed, weeks, new + renamed)
    changed.legend(frameon=False, fontsize=SMALL, loc="lower right", ncols=2, bbox_to_anchor=(1, 1), borderaxespad=0.3)
    tidy(requests, title="Requests for photographs", grid=False)
    asked = np.array([row["requests"] for row in rows])
    requests.bar(weeks, asked, color=GREEN, width=0.7)
    _write(requests, weeks, asked)
    tidy(steps, title="Steps of training", grid=False)
    done, whole = (np.array([row[name] for row in rows]) for name in ("steps", "in full"))
    steps.bar(weeks, whole, color="white", edgecolor=MUTED, linewidth=0.8, linestyle="--", width=0.7,
              label="from nothing")  # fmt: skip
    steps.bar(weeks, done, color=BLUE, width=0.7, label="done")
    _write(steps, weeks, done)
    steps.legend(frameon=False, fontsize=SMALL, loc="lower right", ncols=2, bbox_to_anchor=(1, 1), borderaxespad=0.3)
    names = [f"{row['week']}  {row['what happened']}" for row in rows]
    steps.set_xticks(weeks, names, rotation=38, ha="right", rotation_mode="anchor")
    for axes in (changed, requests, steps):
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_ylim(0, 1.22 * axes.get_ylim()[1])
    for axes in (quality, changed, requests, steps):
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(weeks[0] - 0.7, weeks[-1] + 0.7)
    return figure


def _draw_quality(axes: Axes, rows: list[Row], weeks: Any) -> None:  # noqa: ANN401 (an array)
    champion, best = (np.array([float(row[name]) for row in rows]) for name in ("champion %", "best %"))
    tidy(axes, title="Top-1 in the last exam, on species that all versions know")
    edges = np.append(weeks, weeks[-1] + 1) - 0.5
    axes.grid(visible=False, axis="x")
    axes.stairs(best, edges, baseline=best - 100 * MARGIN, fill=True, color=BLUE, alpha=0.12, linewidth=0,
                label=f"margin of {100 * MARGIN:g} points")  # fmt: skip
    axes.stairs(best, edges, baseline=None, color=MUTED, linewidth=1.2, linestyle="--", label="best so far")
    axes.plot(weeks, champion, color=BLUE, linewidth=1.8, marker="o", markersize=6, label="champion")
    refused = [(row["week"], float(row["challenger %"])) for row in rows if row["challenger %"]]
    bottom = 2 * np.floor((min(champion) - 100 * MARGIN - 2) / 2)
    axes.set_ylim(bottom, 100.5)
    shown = [max(value, bottom + 0.8) for _, value in refused]
    axes.plot([week for week, _ in refused], shown, "X", color=VERMILION, markersize=9, linestyle="none",
              label="refused challenger")  # fmt: skip
    for (week, value), height in zip(refused, shown, strict=True):
        axes.annotate(f"{value:.0f} %", (week, height), xytext=(9, -3), textcoords="offset points", color=VERMILION,
                      fontsize=SMALL)  # fmt: skip
    axes.yaxis.set_major_formatter(PercentFormatter(100, decimals=0))
    axes.set_title(axes.get_title(loc="left"), color=INK, fontweight="bold", loc="left", fontsize=POINTS, pad=24)
    axes.legend(
        frameon=False,
        fontsize=SMALL,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1),
        ncols=4,
        borderaxespad=0.3,
        columnspacing=1.4,
        handlelength=1.8,
    )


def _write(axes: Axes, weeks: Any, numbers: Any) -> None:  # noqa: ANN401 (arrays)
    for week, number in zip(weeks, numbers, strict=True):
        axes.annotate(f"{number}", (week, number), xytext=(0, 2), textcoords="offset points", ha="center",
                      fontsize=SMALL, color=INK)  # fmt: skip


if __name__ == "__main__":
    drawn().savefig(OUTPUT, dpi=DPI, facecolor="white")
    print(OUTPUT)
