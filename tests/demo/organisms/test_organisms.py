"""The rendered source: real species, a long tail, odd records, and a second release."""

from collections import Counter

import pytest

from demo.__main__ import open_source
from demo.organisms.source import RenderedSource, read_kinds
from demo.records import Occurrence


@pytest.fixture(scope="module")
def first() -> dict[str, Occurrence]:
    return {one.gbif_id: one for one in RenderedSource(release=1).occurrences()}


@pytest.fixture(scope="module")
def second() -> dict[str, Occurrence]:
    return {one.gbif_id: one for one in RenderedSource(release=2).occurrences()}


def test_the_list_has_genera_with_several_species_and_a_long_tail() -> None:
    kinds = read_kinds()
    assert len(kinds) >= 48
    assert {kind.taxon.lineage["kingdom"].name for kind in kinds} == {"Animalia", "Plantae", "Fungi"}
    genera = Counter(kind.taxon.lineage["genus"] for kind in kinds)
    assert sum(count > 1 for count in genera.values()) >= 15
    assert sum(kind.photos < 5 for kind in kinds) >= 4


def test_fish_have_no_class_and_skinks_no_order() -> None:
    lineages = {kind.taxon.lineage["species"].name: kind.taxon.lineage for kind in read_kinds()}
    assert "class" not in lineages["Notolabrus celidotus"]
    assert "order" not in lineages["Oligosoma polychroma"]
    assert lineages["Morus alba"]["genus"].key != lineages["Morus serrator"]["genus"].key


def test_every_unusual_kind_of_record_is_there(first: dict[str, Occurrence], second: dict[str, Occurrence]) -> None:
    for release in (first, second):
        taxa = [one.taxon for one in release.values()]
        assert {"SPECIES", "SUBSPECIES", "GENUS", "UNRANKED", ""} <= {taxon.rank for taxon in taxa}
        assert any(taxon.status == "SYNONYM" for taxon in taxa)
        assert any("\N{MULTIPLICATION SIGN}" in taxon.scientific_name for taxon in taxa)
        assert {"TAXON_MATCH_HIGHERRANK", "TAXON_MATCH_NONE"} <= {
            text for one in release.values() for text in one.issues
        }
    media = [one.media for one in second.values()]
    assert () in media
    assert any(len(items) == 2 and items[0] == items[1] for items in media)
    assert {("audio/mp4", "Sound"), ("image/png", "StillImage")} < {
        (i.format, i.type) for items in media for i in items
    }


def test_the_second_release_grows_removes_reidentifies_and_relicenses(
    first: dict[str, Occurrence], second: dict[str, Occurrence]
) -> None:
    both = first.keys() & second.keys()
    assert 0.06 < len(second.keys() - first.keys()) / len(first) < 0.15
    assert 0 < len(first.keys() - second.keys()) < 0.05 * len(first)
    assert any(first[key].taxon != second[key].taxon for key in both)
    assert any(first[key].media != second[key].media for key in both)


def test_photographs_are_the_same_in_both_releases_and_in_every_run() -> None:
    sources = [open_source(photos=None, release=release) for release in (1, 2)]
    ids = [item.photo_id for one in sources[0].occurrences()[:5] for item in one.media if item.type == "StillImage"]
    for photo_id in ids:
        assert sources[0].photograph(photo_id) == sources[1].photograph(photo_id)
    assert sources[0].photograph("1") is None


def test_only_the_png_row_is_a_png() -> None:
    source = RenderedSource(release=2)
    png = next(i.photo_id for one in source.occurrences() for i in one.media if i.format == "image/png")
    content = source.photograph(png)
    assert content is not None
    assert content.startswith(b"\x89PNG")


def test_an_unknown_release_is_refused() -> None:
    with pytest.raises(ValueError, match="release 3 does not exist"):
        open_source(photos=None, release=3)
