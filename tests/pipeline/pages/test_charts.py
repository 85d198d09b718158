"""The dataset's charts can be read, whatever the tables hold."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.pages import charts
from pipeline.pages.figures import short_number, shortened
from pipeline.rejections import STAGES
from tests.pictures import blemishes

LONG = "Paraburkholderia caballeronis subspecies incertissima auctorum"
RULES = ("unusual_taxonomy", "duplicate_occurrence", "conflicting_address", "unsupported_address", "no_photo")
KINGDOMS = ("Animalia", "Plantae", "Fungi", "Chromista", "Protozoa", "Bacteria", "Archaea")


def classes(number: int, most: int) -> Figure:
    found = [
        {"name": LONG if place == 1 else f"Class{place}opsida", "kingdom": KINGDOMS[place % 7],
         "species": max(1, most // (place + 1))}
        for place in range(number)
    ]  # fmt: skip
    return charts._draw_classes(found)


def rejections(stages: int, rules: int, number: int) -> Figure:
    return charts._draw_rejections({stage: dict.fromkeys(RULES[:rules], number) for stage in STAGES[-stages:]})


def tail(species: int, most: int, *, least_kept: int = 5) -> Figure:
    numbers = np.maximum(most * np.arange(1, species + 1) ** -1.1, 1).astype(int).tolist()
    return charts._draw_long_tail([{"photos": number, "kept": number >= least_kept} for number in numbers])


def changes(number: int, species: int) -> Figure:
    found = [
        {"species": LONG if place == 0 else f"Genus species{place}", "gained": number // (place + 1),
         "lost": number // (species - place)}
        for place in range(species)
    ]  # fmt: skip
    kinds = {"new": number, "gone": 1, "re-identified": 0, "relicensed": number}
    title = f"Snapshot 117: {number:,} \N{RIGHTWARDS ARROW} {number:,} photographs"
    return charts._draw_changes(title, number, kinds, found)


def licences(number: int) -> Figure:
    return charts._draw_licences({"all rights reserved": number, LONG: 1})


PICTURES: dict[str, Callable[[], Figure]] = {
    "one class": lambda: classes(1, 1),
    "60 classes": lambda: classes(60, 123_456),
    "one licence of millions": lambda: licences(98_765_432),
    "one rule": lambda: rejections(1, 1, 1),
    "all rules": lambda: rejections(5, 5, 123_456_789),
    "no rule": lambda: charts._draw_rejections({}),
    "one species": lambda: tail(1, 1, least_kept=1),
    "two species, none kept": lambda: tail(2, 3),
    "20,000 species": lambda: tail(20_000, 250_000),
    "no species": lambda: charts._draw_long_tail([]),
    "small changes": lambda: changes(1, 1),
    "no species changed": lambda: changes(1, 0),
    "great changes": lambda: changes(12_345_678, 20),
}


@pytest.mark.parametrize("name", PICTURES)
def test_charts_can_be_read(name: str) -> None:
    assert blemishes(PICTURES[name]()) == []


def test_records_and_photographs_are_not_mixed_on_one_axis() -> None:
    figure = charts._draw_rejections(
        {"clean_occurrences": {"hybrid": 3}, "photo_index": {"no_photo": 2, "not_jpeg": 7}, "species": {"rare": 9}}
    )
    named = {axes.get_xlabel(): [label.get_text() for label in axes.get_yticklabels()] for axes in figure.axes}
    assert named == {"records left out": ["hybrid", "no photo"], "photographs left out": ["not jpeg", "rare"]}


def test_there_are_no_bars_on_logarithmic_axes() -> None:
    for figure in (rejections(5, 5, 900), changes(100, 3)):
        for axes in figure.axes:
            bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
            assert not bars or axes.get_xscale() == "linear"


def test_the_long_tail_is_a_rank_abundance_curve() -> None:
    figure = charts._draw_long_tail(
        [{"photos": 2, "kept": False}, {"photos": 40, "kept": True}, {"photos": 7, "kept": True}]
    )
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    kept, removed, line = axes.lines
    assert np.asarray(kept.get_xydata()).tolist() == [[1, 40], [2, 7]]
    assert np.asarray(removed.get_xydata()).tolist() == [[3, 2]]
    assert np.asarray(line.get_ydata()).tolist() == [6.5, 6.5]
    assert kept.get_marker() != removed.get_marker()


def test_numbers_and_names_are_shortened() -> None:
    assert [short_number(value) for value in (0.5, 999, 12_345, 120_000, 1_500_000, 2e9)] == [
        "0.5", "999", "12.3k", "120k", "1.5M", "2G"
    ]  # fmt: skip
    assert shortened("Nestor notabilis") == "Nestor notabilis"
    assert len(shortened(LONG)) == 32
    assert shortened(LONG).endswith("\N{HORIZONTAL ELLIPSIS}")
