"""Coasts and borders of the world for maps, kept in `coastline.npz`: 1:50 million, to a hundredth of a degree.

Natural Earth 4.1.0 (naturalearthdata.com, public domain), as packed by the npm package world-atlas 2.0.2 (ISC). The
file was made with `npm pack world-atlas` and `python -m ml.coastline package/countries-50m.json`.
"""

import functools
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ml.files import replacing

Line = npt.NDArray[np.float64]
"""Longitude and latitude in degrees. Shape N x 2."""

_FILE: Final = Path(__file__).with_name("coastline.npz")
_UNITS: Final = 100
"""Steps of a degree: 180 degrees fit 16 bits."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Coastline:
    """Outlines of the world. A ring across the 180th meridian goes on beyond 180, or before -180."""

    land: tuple[Line, ...]
    """Closed rings; a lake is a ring within a ring."""
    borders: tuple[Line, ...]
    """Open lines between two countries."""


@functools.cache
def coastline() -> Coastline:
    """The coastline of the package."""
    return read_coastline(_FILE)


def read_coastline(path: Path) -> Coastline:
    """Read what `write_coastline` wrote."""
    with np.load(path) as file:
        land, borders = (tuple(_unpacked(file[name], file[f"{name}_lengths"])) for name in ("land", "borders"))
    return Coastline(land=land, borders=borders)


def write_coastline(topology: dict[str, Any], path: Path) -> Path:
    """Write a TopoJSON with the objects `land` and `countries` as this module reads it, and return `path`."""
    scale, origin = (np.array(topology["transform"][name]) for name in ("scale", "translate"))
    arcs = [np.cumsum(np.array(arc), axis=0) * scale + origin for arc in topology["arcs"]]
    land = [_joined(ring, arcs) for shape in topology["objects"]["land"]["geometries"] for ring in _rings(shape)]
    users: dict[int, set[int]] = {}
    for country, shape in enumerate(topology["objects"]["countries"]["geometries"]):
        for arc in itertools.chain.from_iterable(_rings(shape)):
            users.setdefault(max(arc, ~arc), set()).add(country)
    borders = [arcs[arc] for arc, countries in users.items() if len(countries) > 1]
    packed: dict[str, npt.NDArray[np.int16] | npt.NDArray[np.uint16]] = {}
    for name, lines in (("land", land), ("borders", borders)):
        packed[name], packed[f"{name}_lengths"] = _packed(lines)
    # Given a path, NumPy would add its own ending to it.
    with replacing(path) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **packed)
    return path


def _rings(shape: dict[str, Any]) -> Iterator[list[int]]:
    """The rings of a polygon or of several, as numbers of arcs; a complement is an arc read backwards."""
    polygons = {"Polygon": [shape.get("arcs")], "MultiPolygon": shape.get("arcs", [])}[shape["type"]]
    for polygon in polygons:
        yield from polygon


def _joined(ring: Sequence[int], arcs: Sequence[Line]) -> Line:
    """A closed ring in one piece, also across the 180th meridian; one around the South Pole goes along its latitude."""
    pieces = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in ring]
    joined = np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])]).astype(np.float64)
    joined[:, 0] = np.unwrap(joined[:, 0], period=360)
    joined[:, 0] -= 360 * np.round(joined[:, 0].mean() / 360)
    if abs(joined[-1, 0] - joined[0, 0]) > 180:
        begin, end = joined[0, 0], joined[-1, 0]
        joined = np.concatenate([joined, [(end, -90.0), (begin, -90.0)], joined[:1]])
    return joined


def _packed(lines: Sequence[Line]) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Steps from point to point, which compress well, and the points of each line. Shapes 2 x N and lines."""
    steps = []
    for line in lines:
        points = np.rint(line * _UNITS).astype(np.int16)
        moved = np.append(True, np.diff(points, axis=0).any(axis=1))
        # A step around the world overflows 16 bits, and so does the sum that undoes it.
        steps.append(np.diff(points[moved], axis=0, prepend=np.zeros((1, 2), np.int16)))
    return np.concatenate(steps).T.copy(), np.array([len(line) for line in steps], np.uint16)


def _unpacked(steps: npt.NDArray[np.int16], lengths: npt.NDArray[np.uint16]) -> Iterator[Line]:
    for line in np.split(steps.T, np.cumsum(lengths[:-1], dtype=np.int64)):
        yield np.cumsum(line, axis=0, dtype=np.int16) / _UNITS


if __name__ == "__main__":
    print(write_coastline(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), _FILE))
