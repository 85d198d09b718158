"""Which photographs show one organism, so that they get one answer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from ml.identify.photographs import Photograph

By = Literal["photograph", "all", "folder", "organism"]
"""What photographs that show one organism have in common; `photograph`: each shows another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Organism:
    """Photographs that get one answer."""

    name: str | None
    """None: one photograph by itself."""
    photographs: tuple[Photograph, ...]


def grouped(photographs: Iterable[Photograph], *, by: By) -> Iterator[Organism]:
    """Photographs by the organism that they show, in the order of the first of each.

    A photograph for which there is no group (no name in the table, no folder) is one by itself.

    Args:
        photographs: Only their names are held, and only where they are grouped.
        by: How they are grouped.
    """
    if by == "photograph":
        for photograph in photographs:
            yield Organism(name=None, photographs=(photograph,))
        return
    groups: dict[str | int, list[Photograph]] = {}
    for number, photograph in enumerate(photographs):
        # A number is nobody's name.
        groups.setdefault(_name(photograph, by=by) or number, []).append(photograph)
    for name, members in groups.items():
        yield Organism(name=None if isinstance(name, int) else name, photographs=tuple(members))


def _name(photograph: Photograph, *, by: By) -> str | None:
    if by == "all":
        return "all photographs"
    if by == "organism":
        return photograph.organism
    if isinstance(photograph.source, Path):
        return str(photograph.source.parent)
    # An address, or a file that cannot be read.
    parent = str(PurePosixPath(photograph.name).parent)
    return parent if parent not in {"", "."} else None
