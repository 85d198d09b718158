"""A small world for the protocol's tests: real JPEGs, two kingdoms, one synonym, one record that matched nothing."""

import io
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from demo.records import RANKS, Media, Name, Occurrence, Taxon

GANNET = ("Animalia", "Chordata", "Aves", "Suliformes", "Sulidae", "Morus", "Morus serrator")
MULBERRY = ("Plantae", "Tracheophyta", "Magnoliopsida", "Rosales", "Moraceae", "Morus", "Morus alba")


def taxon(names: Sequence[str]) -> Taxon:
    keys = ["/".join(names[: end + 1]) for end in range(len(names))]
    lineage = {rank: Name(name=name, key=key) for rank, name, key in zip(RANKS, names, keys, strict=True)}
    return Taxon(
        taxon_key=keys[-1],
        accepted_key=keys[-1],
        scientific_name=f"{names[-1]} L.",
        rank="SPECIES",
        status="ACCEPTED",
        lineage=lineage,
    )


def jpeg(*, width: int = 60, height: int = 40, shade: int = 90) -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).point(lambda value: (value + shade) % 256).convert("RGB").save(
        stream, format="JPEG", quality=90
    )
    return stream.getvalue()


def photo(photo_id: str, **changes: str) -> Media:
    media = Media(
        photo_id=photo_id,
        format="image/jpeg",
        type="StillImage",
        licence="http://creativecommons.org/licenses/by-nc/4.0/",
        rights_holder='Ana "kea" Smith',
        creator="ana",
    )
    return replace(media, **changes)


NOTHING = Taxon(taxon_key="", accepted_key="", scientific_name="", rank="", status="", lineage={})


class SmallSource:
    """`count` observations: gannets, mulberries and every fifth one a synonym of the mulberry."""

    def __init__(self, *, count: int = 12, width: int = 60, height: int = 40) -> None:
        self._count = count
        self._size = (width, height)

    def occurrences(self) -> Sequence[Occurrence]:
        mulberry = taxon(MULBERRY)
        synonym = replace(mulberry, taxon_key="old", scientific_name="Morus bombycis Koidz.", status="SYNONYM")
        rows = []
        for number in range(self._count):
            matched = synonym if number % 5 == 4 else mulberry if number % 2 else taxon(GANNET)
            rows.append(
                Occurrence(
                    gbif_id=str(1000 + number),
                    observation_id=str(500 + number),
                    taxon=matched,
                    media=(photo(str(number)),),
                    licence="http://creativecommons.org/licenses/by-nc/4.0/",
                    event_date=f"20{10 + number % 10}-03-04T10:20:30",
                    latitude=-41.5,
                    longitude=174.25,
                    recorded_by="Ana\tSmith",
                )
            )
        rows.append(replace(rows[0], gbif_id="9000", taxon=NOTHING, media=(), issues=("TAXON_MATCH_NONE",)))
        return rows

    def photograph(self, photo_id: str) -> bytes | None:
        if not photo_id.isdigit() or int(photo_id) >= self._count:
            return None
        return jpeg(width=self._size[0], height=self._size[1], shade=int(photo_id) % 200)
