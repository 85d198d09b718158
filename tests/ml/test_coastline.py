"""The coastline of the package: whole, and made from a topology as it says."""

from pathlib import Path as Files

import numpy as np
import pytest

from ml.coastline import coastline, read_coastline, write_coastline


def test_the_coastline_covers_the_world_without_steps_across_it() -> None:
    found = coastline()
    assert len(found.land) > 1_000
    assert len(found.borders) > 300
    for ring in found.land:
        assert (ring[0] == ring[-1]).all()
        # Along the South Pole Antarctica is closed by one straight line.
        assert np.abs(np.diff(ring, axis=0)[ring[1:, 1] > -90]).max(initial=0) < 10
    assert max(ring[:, 1].max() for ring in found.land) == pytest.approx(83.6, abs=0.1)


def test_a_topology_becomes_rings_and_the_borders_of_two_countries(tmp_path: Files) -> None:
    # Two squares with a common side, and an island on both sides of the 180th meridian. Arcs are steps.
    arcs = [
        [[10, 0], [0, 10]],
        [[10, 10], [-10, 0], [0, -10], [10, 0]],
        [[10, 0], [10, 0], [0, 10], [-10, 0]],
        [[179, 50], [-358, 0], [0, 5], [358, 0], [0, -5]],
    ]
    west, east, island = (
        {"type": "Polygon", "arcs": [[0, 1]]},
        {"type": "Polygon", "arcs": [[2, ~0]]},
        {"type": "MultiPolygon", "arcs": [[[3]]]},
    )
    topology = {
        "transform": {"scale": [1, 1], "translate": [0, 0]},
        "arcs": arcs,
        "objects": {"land": {"geometries": [west, east, island]}, "countries": {"geometries": [west, east, island]}},
    }
    found = read_coastline(write_coastline(topology, tmp_path / "coastline.npz"))
    assert [line.tolist() for line in found.borders] == [[[10, 0], [10, 10]]]
    assert found.land[0].tolist() == [[10, 0], [10, 10], [0, 10], [0, 0], [10, 0]]
    assert found.land[1].tolist() == [[10, 0], [20, 0], [20, 10], [10, 10], [10, 0]]
    assert np.ptp(found.land[2], axis=0).tolist() == [2, 5]
