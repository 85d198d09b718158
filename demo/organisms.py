"""Rendered New Zealand organisms as a source: real species and taxonomy (`new_zealand.csv`), made-up observations.

The second release adds about a tenth more observations, removes 3 % of the first release's, relicenses 4 % and
identifies 2 % as a close relative. The odd records that GBIF delivers (hybrids, barcode bins, synonyms, ...) are in
both releases.
"""

import csv
import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from demo.records import (
    OBSERVERS,
    Changes,
    Identifiers,
    Media,
    Occurrence,
    make_occurrence,
    pick_licence,
    second_release,
)
from demo.taxa import (
    RANKS,
    Identification,
    Lineage,
    above_species,
    accepted,
    as_lineage,
    digest,
    share,
    subspecies,
    synonym,
)

if TYPE_CHECKING:
    from demo.drawing import Traits

SPECIES: Final = files("demo") / "new_zealand.csv"
CHANGES: Final = Changes(removed=0.03, relicensed=0.04, reidentified=0.02)
CROSS: Final = "Metrosideros \N{MULTIPLICATION SIGN} sub-tomentosa"
GROWTH: Final = 0.1
"""How many photographs the second release adds, as a share of the first's."""


@dataclass(frozen=True, kw_only=True)
class Species:
    """One rendered species."""

    lineage: Lineage
    photographs: int
    """Photographs in the first release."""
    row: dict[str, str]
    """Its line of the species list; how it looks is read when it is drawn."""

    def traits(self) -> "Traits":
        """How it looks."""
        from demo.drawing import Traits  # noqa: PLC0415 (see Organisms.original)

        def colour(name: str) -> tuple[int, int, int]:
            red, green, blue = bytes.fromhex(self.row[name])
            return red, green, blue

        return Traits(
            plan=self.row["plan"],
            main=colour("main"),
            second=colour("second"),
            accent=colour("accent"),
            pattern=self.row["pattern"],
            shape={name: float(value) for name, value in (part.split("=") for part in self.row["shape"].split())},
            habitat=self.row["habitat"],
        )


class Organisms:
    """The rendered source."""

    def __init__(self) -> None:
        content = SPECIES.read_text(encoding="utf-8")
        self._fingerprint = "rendered-" + hashlib.sha256(content.encode()).hexdigest()[:16]
        self._species = {
            row["species"]: Species(
                lineage=as_lineage([row[rank] for rank in RANKS]), photographs=int(row["photographs"]), row=row
            )
            for row in csv.DictReader(content.splitlines())
        }
        self._keys = Identifiers("gbifID", first=4_000_000_000, span=1_000_000_000)
        self._observations = Identifiers("observation", first=100_000_000, span=200_000_000)
        self._photos = Identifiers("photo", first=100_000_000, span=400_000_000)
        self._drawn: dict[str, Species] = {}
        first = [item for species in self._species.values() for item in self._observed(species, release=1)]
        self._odd = list(self._oddities())
        self._added = [item for species in self._species.values() for item in self._observed(species, release=2)]
        self._plain = first

    @property
    def fingerprint(self) -> str:
        """The hash of the species list."""
        return self._fingerprint

    @cache  # noqa: B019 (one source lives as long as its server)
    def occurrences(self, release: int) -> tuple[Occurrence, ...]:
        """All records of a release."""
        records = self._plain if release == 1 else second_release(self._plain, changes=CHANGES) + self._added
        return tuple(sorted((*records, *self._odd), key=lambda item: item.key))

    def original(self, photo_id: str) -> bytes | None:
        """Draw a photograph."""
        species = self._drawn.get(photo_id)
        if species is None:
            return None
        # Drawing loads numpy and Pillow, which a start does not wait for.
        from demo.scene import render  # noqa: PLC0415

        return render(species.traits(), seed=digest("photograph", photo_id))

    def _observed(self, species: Species, *, release: int) -> Iterator[Occurrence]:
        """Observations of a species that a release adds: one to three photographs each."""
        name = species.lineage[-1]
        left = species.photographs
        if release == 2:
            left = int(left * GROWTH + share("growth", name))
        number = 0
        while left > 0:
            identity = (name, release, number)
            count = min(left, (1, 1, 1, 1, 2, 2, 2, 3)[digest("photographs", *identity) % 8])
            yield self._record(accepted(species.lineage), species, identity, photographs=count)
            left -= count
            number += 1

    def _record(
        self,
        identification: Identification,
        species: Species | None,
        identity: tuple[object, ...],
        *,
        photographs: int = 1,
        others: tuple[Media, ...] = (),
    ) -> Occurrence:
        observer = OBSERVERS[digest("observer", *identity) % len(OBSERVERS)]
        licence = pick_licence(*identity)
        media = []
        for position in range(photographs):
            photo_id = str(self._photos.of(*identity, position))
            if species is not None:
                self._drawn[photo_id] = species
            media.append(Media(media_id=photo_id, licence=licence, rights_holder=observer, creator=observer))
        return make_occurrence(
            key=self._keys.of(*identity),
            observation=self._observations.of(*identity),
            identification=identification,
            media=(*media, *others),
            observer=observer,
            date=dt.date(2015, 1, 1) + dt.timedelta(days=digest("date", *identity) % 4200),
        )

    def _oddities(self) -> Iterator[Occurrence]:
        """Records as GBIF delivers them beside the plain ones, each photographed as the species it resembles."""

        def lineage(name: str, depth: int = 7) -> Lineage:
            whole = self._species[name].lineage
            return as_lineage([*whole[:depth], *[""] * (7 - depth)])

        def odd(label: str, like: str, identification: Identification, *, photographs: int = 1) -> Occurrence:
            return self._record(identification, self._species[like], ("odd", label), photographs=photographs)

        fantail, kea, rata, daisy = (
            "Rhipidura fuliginosa",
            "Nestor notabilis",
            "Metrosideros excelsa",
            "Celmisia gracilenta",
        )
        yield odd("synonym 1", "Veronica stricta", synonym(lineage("Veronica stricta"), "Hebe stricta"), photographs=2)
        yield odd("synonym 2", "Veronica speciosa", synonym(lineage("Veronica speciosa"), "Hebe speciosa"))
        yield odd("synonym 3", "Ranoidea aurea", synonym(lineage("Ranoidea aurea"), "Litoria aurea"))
        yield odd("synonym 4", "Gliophorus viridis", synonym(lineage("Gliophorus viridis"), "Hygrocybe viridis"))
        yield odd("subspecies 1", fantail, subspecies(lineage(fantail), "placabilis"), photographs=2)
        yield odd("subspecies 2", "Nestor meridionalis", subspecies(lineage("Nestor meridionalis"), "septentrionalis"))
        yield odd(
            "subspecies 3",
            "Prosthemadera novaeseelandiae",
            subspecies(lineage("Prosthemadera novaeseelandiae"), "novaeseelandiae"),
        )
        hybrid = as_lineage([*self._species[rata].lineage[:6], "Metrosideros sub-tomentosa"])
        cross = accepted(hybrid)
        yield odd(
            "hybrid",
            rata,
            Identification(
                lineage=hybrid,
                scientific_name=CROSS,
                accepted_name=CROSS,
                rank="SPECIES",
                status="ACCEPTED",
                key=cross.key,
                accepted_key=cross.key,
            ),
        )
        yield odd("genus 1", daisy, above_species(lineage(daisy, 6)))
        yield odd("genus 2", "Hemideina thoracica", above_species(lineage("Hemideina thoracica", 6)))
        yield odd("family", "Kikihia muta", above_species(lineage("Kikihia muta", 5)))
        yield odd("higher rank 1", kea, above_species(lineage(kea, 6), "TAXON_MATCH_HIGHERRANK"))
        yield odd(
            "higher rank 2",
            "Trametes versicolor",
            above_species(lineage("Trametes versicolor", 4), "TAXON_MATCH_HIGHERRANK"),
        )
        bin_lineage = lineage("Dolomedes minor", 6)
        yield odd(
            "barcode bin",
            "Dolomedes minor",
            Identification(
                lineage=bin_lineage,
                scientific_name="BOLD:ACD1886",
                accepted_name="BOLD:ACD1886",
                rank="UNRANKED",
                status="ACCEPTED",
                key="BACD1886",
                accepted_key="BACD1886",
            ),
        )
        yield odd(
            "no taxonomy",
            "Aseroe rubra",
            Identification(
                lineage=as_lineage([""] * 7),
                scientific_name="",
                accepted_name="",
                rank="",
                status="",
                key="",
                accepted_key="",
                issues=("TAXON_MATCH_NONE",),
            ),
        )
        yield from self._odd_media(accepted(lineage(fantail)))

    def _odd_media(self, identification: Identification) -> Iterator[Occurrence]:
        """Records whose media are not plain photographs."""
        fantail = self._species["Rhipidura fuliginosa"]
        observer = OBSERVERS[0]
        licence = pick_licence("odd media")

        def other(kind: str, **changes: str) -> Media:
            return Media(
                media_id=str(self._photos.of("odd media", kind)),
                licence=licence,
                rights_holder=observer,
                creator=observer,
                **changes,
            )

        png = other("png", format="image/png", extension="png")
        self._drawn[png.media_id] = fantail
        yield self._record(identification, fantail, ("odd", "png"), others=(png,))
        sound = other("sound", type="Sound", format="audio/x-wav", extension="wav")
        yield self._record(identification, fantail, ("odd", "sound"), others=(sound,))
        yield self._record(identification, None, ("odd", "no media"), photographs=0)
        repeated = other("repeated")
        self._drawn[repeated.media_id] = fantail
        yield self._record(identification, None, ("odd", "repeated"), photographs=0, others=(repeated, repeated))
