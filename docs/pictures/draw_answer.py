"""Draws `answer.png`: photographs beside the answers that `naturewatch identify PHOTO... --json` printed for them.

Each answer is shown as bars: what the network gives every taxon on the way down to the answer, and the species below
it. The dashed line is the threshold; the answer is the last taxon that reaches it.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from ml.palette import BLUE, GRID, INK, MUTED, VERMILION

FILE: Final = Path(__file__).resolve().parent / "answer.png"
SPECIES: Final = 2
"""How many of the most probable species are shown below the answer."""


def draw(answers: Sequence[Mapping[str, Any]], *, file: Path = FILE) -> Path:
    """One row for each answer: the photograph, and its bars."""
    figure = Figure(figsize=(5.2, 2.5 * len(answers)), layout="constrained")
    grid = figure.subplots(len(answers), 2, squeeze=False, width_ratios=(1, 1.9))
    for (picture, bars), answer in zip(grid, answers, strict=True):
        picture.imshow(imread(answer["photo"]))
        picture.set_axis_off()
        _bars(bars, answer)
    figure.savefig(file, dpi=150, facecolor="white")
    return file


def _bars(axes: Axes, answer: Mapping[str, Any]) -> None:
    path = answer["lineage"]
    below = [] if path and path[-1]["rank"] == "species" else answer["top"][:SPECIES]
    taxa = [*path, *below]
    colours = [BLUE] * (len(path) - 1) + [VERMILION] * bool(path) + [GRID] * len(below)
    axes.barh(range(len(taxa)), [taxon["probability"] for taxon in taxa], color=colours, height=0.86)
    for place, taxon in enumerate(taxa):
        chosen = place == len(path) - 1
        light = taxon["probability"] > 0.5 and place < len(path)
        axes.text(
            0.02, place, f"{taxon['rank']} {taxon['name']} {taxon['probability']:.0%}", va="center", fontsize=8,
            color="white" if light else INK, fontweight="bold" if chosen else "normal",
        )  # fmt: skip
    axes.axvline(answer["threshold"], color=INK, linestyle="--", linewidth=1)
    said = f"{answer['rank']} {answer['taxon']}, {answer['probability']:.0%}" if path else "not sure of any kingdom"
    axes.set_title(said, loc="left", fontsize=11, fontweight="bold", color=VERMILION)
    axes.set(xlim=(0, 1), ylim=(len(taxa) - 0.4, -0.6), yticks=[], xticks=[])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"threshold {answer['threshold']:.0%}", fontsize=8, color=MUTED, x=answer["threshold"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answers", type=Path, help="what `naturewatch identify PHOTO... --json` printed")
    print(draw(json.loads(parser.parse_args().answers.read_text(encoding="utf-8"))))
