"""A small world of drawn organisms that changes every week: it grows, is re-identified, split, merged and poisoned.

Only the CSV that the embedded replica serves changes; a photograph keeps its path, and so its keys, for good. What the
pipeline makes of the weeks is measured by `bench.twelve_weeks`.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE: Final = 80
"""Pixels of a drawn photograph."""
RANKS: Final = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
GENERA: Final = {"Aves": ("Alauda", "Bubo", "Corvus"), "Insecta": ("Apis", "Bombus", "Cetonia")}
"""Classes and their genera; each genus is a family and an order of its own."""
SPECIES: Final = tuple(
    f"{genus} {name}" for genera in GENERA.values() for genus in genera for name in ("alba", "nigra")
)
NEW: Final = "Corvus viridis"
"""A species that first comes in a later week."""
SPLIT_OFF: Final = "Apis minor"
"""Looks like none of the others, and may be called Apis alba until the two are told apart."""


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """One labelled photograph."""

    path: str
    shows: str
    """What was drawn."""
    species: str
    """The species that it is called."""


class World:
    """The photographs of the present week, below one folder."""

    def __init__(self, folder: Path, *, seed: int = 2017) -> None:
        """An empty world in an empty folder."""
        self.folder = folder
        self.photographs: list[Photograph] = []
        self.names: dict[str, str] = {}
        """What is drawn -> the species that it belongs to, where that has another name."""
        self._random = np.random.default_rng(seed)
        (folder / "photos").mkdir(parents=True)

    @property
    def csv(self) -> Path:
        """The table that the replica serves."""
        return self.folder / "photos.csv"

    def grow(self, kinds: Sequence[str], *, each: int) -> int:
        """Add so many photographs of each kind, by the name of its species; returns how many in all."""
        for kind in kinds:
            known = sum(photograph.shows == kind for photograph in self.photographs)
            for number in range(known, known + each):
                path = f"photos/{kind.replace(' ', '-')}-{number:03d}.jpg"
                Image.fromarray(_drawn(kind, self._random)).save(self.folder / path, quality=85)
                self.photographs.append(Photograph(path=path, shows=kind, species=self._called(kind)))
        return each * len(kinds)

    def mistake(self, kind: str, called: str, *, share: float) -> int:
        """Call a share of the photographs of a kind by a name that is not theirs; returns how many."""
        found = [index for index, each in enumerate(self.photographs) if each.shows == kind]
        chosen = found[: round(share * len(found))]
        for index in chosen:
            self.photographs[index] = replace(self.photographs[index], species=called)
        return len(chosen)

    def correct(self) -> int:
        """Call every photograph by the species that it shows; returns how many had another name."""
        wrong = [index for index, each in enumerate(self.photographs) if each.species != self._called(each.shows)]
        for index in wrong:
            self.photographs[index] = replace(
                self.photographs[index], species=self._called(self.photographs[index].shows)
            )
        return len(wrong)

    def belongs(self, kind: str, species: str) -> int:
        """Let a kind be of another species from now on, with all its photographs; returns how many are renamed."""
        self.names[kind] = species
        return self.correct()

    def poison(self, kinds: Sequence[str]) -> int:
        """Shuffle the names of all photographs of these kinds among each other; returns how many are called wrongly."""
        found = [index for index, each in enumerate(self.photographs) if each.shows in kinds]
        shuffled = self._random.permutation([self.photographs[index].species for index in found])
        before = [self.photographs[index].species for index in found]
        for index, name in zip(found, shuffled, strict=True):
            self.photographs[index] = replace(self.photographs[index], species=str(name))
        return sum(one != other for one, other in zip(before, shuffled, strict=True))

    def write(self) -> Path:
        """Write the table that the replica serves."""
        with self.csv.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(("path", *RANKS, "source_name", "licence", "rights_holder"))
            writer.writerows((each.path, *_lineage(each.species), "", "CC0", "nobody") for each in self.photographs)
        return self.csv

    def _called(self, kind: str) -> str:
        return self.names.get(kind, kind)


def _lineage(species: str) -> Iterator[str]:
    genus, _ = species.split()
    (of_class,) = (name for name, genera in GENERA.items() if genus in genera)
    phylum = {"Aves": "Chordata", "Insecta": "Arthropoda"}[of_class]
    yield from ("Animalia", phylum, of_class, f"{genus}iformes", f"{genus}idae", genus, species)


def _drawn(kind: str, random: np.random.Generator) -> NDArray[np.uint8]:
    """Stripes: the genus gives their angle and the hue of the background, the species their width and colour."""
    genus, name = kind.split()
    of_genus = np.random.default_rng(list(genus.encode()))
    of_species = np.random.default_rng(list(kind.encode()))
    angle = of_genus.uniform(0, np.pi) + random.normal(0, 0.12)
    width = {"alba": 5.0, "nigra": 9.0}.get(name, 14.0) * random.uniform(0.75, 1.3)
    ground, stripe = of_genus.uniform(60, 200, 3), of_species.uniform(30, 225, 3)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    wave = np.sin((np.cos(angle) * columns + np.sin(angle) * rows) * 2 * np.pi / width + random.uniform(0, 6))
    share = (wave[..., None] > random.uniform(-0.3, 0.3)) * random.uniform(0.5, 1.0)
    pixels = ground * (1 - share) + stripe * share + random.normal(0, 12, (SIDE, SIDE, 3)) + random.normal(0, 8, 3)
    drawn: NDArray[np.uint8] = np.clip(pixels, 0, 255).astype(np.uint8)
    return drawn
