"""The pictures of a calibration can be read, from a handful of photographs to a network that is sure of everything."""

import functools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from ml.classifiers.classes import taxonomy_of_classes
from ml.evaluation.reliability import binned
from ml.spec import RANKS, Rule, SpecificityOptions
from ml.specificity.calibration import Labelled, Outcome, calibrate_network
from ml.specificity.calibration_figures import (
    _against_threshold,
    _depth_against_target,
    _reliability,
    draw_figures,
)
from ml.taxonomy import Taxonomy
from tests.pictures import blemishes


@functools.cache
def calibrated(photos: int, skill: float, target: float, rule: Rule = "threshold") -> tuple[Outcome, Taxonomy]:
    """A calibration of a made-up network on 60 species of seven ranks."""
    rows = [
        {"class_id": number, **{rank: f"{rank}{number * 2**depth // 60}" for depth, rank in enumerate(RANKS[:-1])},
         "species": f"species{number}"}
        for number in range(60)
    ]  # fmt: skip
    taxonomy = taxonomy_of_classes(rows, ranks=RANKS).taxonomy
    generator = np.random.default_rng(photos)
    labels = generator.integers(60, size=photos).astype(np.int32)
    logits = generator.normal(size=(photos, 60))
    logits[np.arange(photos), labels] += generator.uniform(0, skill, size=photos)
    exponential = np.exp(logits)
    data = Labelled(
        probabilities=exponential / exponential.sum(axis=1, keepdims=True), labels=labels,
        chooses=np.arange(photos) % 2 == 0, judges=np.arange(photos) % 2 == 1,
    )  # fmt: skip
    return calibrate_network(data, taxonomy, SpecificityOptions(target=target, rule=rule)), taxonomy


OUTCOMES = {
    "usual": (2_000, 9.0, 0.9, "threshold"),
    "target at the edge": (400, 6.0, 0.5, "threshold"),
    "sure of everything": (400, 60.0, 0.99, "threshold"),
    "a handful": (6, 5.0, 0.999, "threshold"),
    "reward": (400, 9.0, 0.95, "reward"),
}


def pictures(name: str) -> list[Figure]:
    outcome, taxonomy = calibrated(*OUTCOMES[name])
    return [
        _depth_against_target(outcome, depths=taxonomy.max_depth),
        _against_threshold(outcome, parameter="confidence threshold", depths=taxonomy.max_depth),
        _reliability(outcome.reliability, temperature=outcome.temperature),
    ]


@pytest.mark.parametrize("name", OUTCOMES)
def test_pictures_can_be_read(name: str) -> None:
    assert [blemishes(figure) for figure in pictures(name)] == [[], [], []]


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_curve_begins_left_of_the_target(name: str) -> None:
    outcome, _ = calibrated(*OUTCOMES[name])
    axes = pictures(name)[0].axes[0]
    assert np.asarray(axes.lines[0].get_xdata()).min() <= outcome.judged.target - 0.05
    assert axes.get_xlim()[0] < outcome.judged.target - 0.05


def test_bins_of_few_answers_are_hollow_and_every_count_is_printed() -> None:
    generator = np.random.default_rng(1)
    stated = np.concatenate([generator.uniform(0, 1, 40), np.full(12_000, 0.97)])
    bins = binned(stated, generator.random(12_040) < stated)
    figure = _reliability(bins, temperature=1.2)
    assert blemishes(figure) == []
    axes, counts = figure.axes
    assert [text.get_text() for text in counts.texts] == [*map(str, bins.photos[:-1]), "12k"]
    named = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    full, hollow = named["this network, with 95 % intervals"], named["fewer than 30 answers"]
    assert len(full.lines[0].get_xdata()) == 1
    assert len(hollow.lines[0].get_xdata()) == len(bins.photos) - 1
    assert hollow.lines[0].get_markerfacecolor() == "white"


def test_each_picture_has_an_svg_twin_of_the_same_bytes_each_time(tmp_path: Path) -> None:
    outcome, taxonomy = calibrated(*OUTCOMES["a handful"])
    files = draw_figures(outcome, taxonomy=taxonomy, folder=tmp_path).values()
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    names = ("depth_against_target", "accuracy_and_depth", "reliability")
    assert [path.name for path in files] == [f"{name}.png" for name in names]
    assert set(first) == {f"{name}.{ending}" for name in names for ending in ("png", "svg")}
    draw_figures(outcome, taxonomy=taxonomy, folder=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
