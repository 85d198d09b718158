"""The comparison's pictures can be read, and show the paper's own results."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from ml.evaluation.metrics import SIZE_NAMES
from ml.spec import NetworkName
from pipeline.comparison.comparison_figures import LOOKS, depth_against_target, networks_by_class_size
from pipeline.comparison.networks import NETWORKS
from tests.pictures import blemishes


def by_target(*, least: float, seeds: bool) -> list[dict[str, Any]]:
    """Depths that fall from 7 to `least`."""
    return [
        {"network": network, "target": target, "depth": depth, "low": depth - 0.2 if seeds else None,
         "high": depth + 0.2 if seeds else None}
        for network in NETWORKS
        for target, depth in zip(np.linspace(0.5, 0.995, 60).tolist(), np.linspace(7, least, 60).tolist(), strict=True)
    ]  # fmt: skip


def by_size(sizes: tuple[str, ...], *, value: float, photos: int) -> list[dict[str, Any]]:
    """The same accuracy for all networks and sizes."""
    return [
        {"network": network, "side": "validation", "size": size, "value": value, "low": max(0, value - 0.3),
         "high": min(1, value + 0.3), "photos": photos}
        for network in NETWORKS
        for size in sizes
    ]  # fmt: skip


PICTURES: dict[str, Callable[[], Figure]] = {
    "depths of one seed": lambda: depth_against_target(by_target(least=6.9, seeds=False), 0.5),
    "depths of several seeds": lambda: depth_against_target(by_target(least=0.0, seeds=True), 0.999),
    "one class size": lambda: networks_by_class_size(by_size(SIZE_NAMES[:1], value=0.0, photos=1)),
    "all class sizes": lambda: networks_by_class_size(by_size(SIZE_NAMES, value=0.99, photos=1_234_567)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_can_be_read(name: str) -> None:
    assert blemishes(PICTURES[name]()) == []


def test_the_papers_results_are_drawn_hollow_in_the_look_of_their_network() -> None:
    (axes,) = depth_against_target(by_target(least=5.5, seeds=False), 0.9).axes
    found = {
        (line.get_marker(), line.get_color()): np.asarray(line.get_xydata()).tolist()
        for line in axes.lines
        if line.get_markerfacecolor() == "white" and len(np.asarray(line.get_xydata()))
    }
    depths: dict[NetworkName, float] = {"baseline": 4.78, "multi_view": 4.96, "knowledge_transfer": 5.09}
    assert found == {(LOOKS[name][0], NETWORKS[name].colour): [[90, depth]] for name, depth in depths.items()}
    assert axes.get_ylim()[0] == pytest.approx(3.95)


def test_networks_differ_without_colour() -> None:
    assert set(LOOKS) == set(NETWORKS)
    assert len({marker for marker, _ in LOOKS.values()}) == len({str(dash) for _, dash in LOOKS.values()}) == 4
    assert len({network.colour for network in NETWORKS.values()}) == 4
