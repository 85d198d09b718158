"""What the two sources hold, and what a second release changes."""

from collections import Counter
from pathlib import Path

import pytest

from demo.folder import Folder, FolderError
from demo.organisms import Organisms
from demo.records import Occurrence
from demo.taxa import RANKS

HEADER = "path,kingdom,phylum,class,order,family,genus,species,source_name,licence,rights_holder\n"


def photographs(occurrences: tuple[Occurrence, ...]) -> Counter[str]:
    return Counter(
        item.identification.lineage[-1] for item in occurrences for one in item.media if one.type == "StillImage"
    )


def test_rendered_organisms_are_many_and_long_tailed(organisms: Organisms) -> None:
    counts = photographs(organisms.occurrences(1))
    counts.pop("", None)
    assert len(counts) >= 80
    assert 800 <= sum(counts.values()) <= 950
    assert max(counts.values()) >= 45
    assert sum(count < 5 for count in counts.values()) >= 4


def test_rendered_observations_have_one_to_three_photographs(organisms: Organisms) -> None:
    counts = Counter(len(item.media) for item in organisms.occurrences(1) if item.media)
    assert set(counts) == {1, 2, 3}


def test_keys_are_unique_and_stable(organisms: Organisms) -> None:
    again = Organisms()
    for release in (1, 2):
        occurrences = organisms.occurrences(release)
        assert occurrences == again.occurrences(release)
        assert len({item.key for item in occurrences}) == len(occurrences)
        assert len({item.observation for item in occurrences}) == len(occurrences)


def test_a_taxon_has_one_key_and_a_key_one_taxon(organisms: Organisms) -> None:
    names: dict[str, set[tuple[str, ...]]] = {}
    for item in organisms.occurrences(2):
        for rank, key in item.identification.keys.items():
            names.setdefault(key, set()).add(item.identification.lineage[: RANKS.index(rank) + 1])
    assert all(len(lineages) == 1 for lineages in names.values())
    genera = {key for key, lineages in names.items() if next(iter(lineages))[-1] == "Morus"}
    assert len(genera) == 2, "the gannet's genus and the mulberry's"


def test_rendered_records_have_gbifs_oddities(organisms: Organisms) -> None:
    occurrences = organisms.occurrences(1)
    identified = [item.identification for item in occurrences]
    assert {"SPECIES", "SUBSPECIES", "GENUS", "FAMILY", "ORDER", "UNRANKED", ""} <= {one.rank for one in identified}
    assert any("\N{MULTIPLICATION SIGN}" in one.scientific_name for one in identified)
    assert any(one.scientific_name.startswith("BOLD:") for one in identified)
    assert {issue for one in identified for issue in one.issues} == {"TAXON_MATCH_HIGHERRANK", "TAXON_MATCH_NONE"}
    for one in identified:
        if one.status == "SYNONYM":
            assert one.key != one.accepted_key == one.keys["species"]
    assert any(one.lineage[1] == "Chordata" and one.lineage[2] == "" and one.lineage[3] for one in identified), "fish"
    assert any(one.lineage[2] == "Squamata" and one.lineage[3] == "" for one in identified), "lizards"
    assert any(not item.media for item in occurrences)
    media = [one for item in occurrences for one in item.media]
    assert {one.format for one in media} == {"image/jpeg", "image/png", "audio/x-wav"}
    assert {"", "all rights reserved"} < {one.licence for one in media}
    assert len({one.media_id for one in media}) == len(media) - 1, "one address is repeated"


def test_the_second_release_grows_and_changes(organisms: Organisms) -> None:
    first = {item.key: item for item in organisms.occurrences(1)}
    second = {item.key: item for item in organisms.occurrences(2)}
    kept = first.keys() & second.keys()
    added = sum(len(second[key].media) for key in second.keys() - first.keys())
    assert 0.08 <= added / sum(len(item.media) for item in first.values()) <= 0.12
    assert 0 < len(first.keys() - second.keys()) <= 0.06 * len(first)
    assert sum(first[key].identification != second[key].identification for key in kept) > 0
    assert sum([m.licence for m in first[key].media] != [m.licence for m in second[key].media] for key in kept) > 0
    for key in kept:
        assert [one.media_id for one in first[key].media] == [one.media_id for one in second[key].media]


def test_every_row_of_a_folder_arrives(labelled: Path) -> None:
    folder = Folder(labelled)
    counts = photographs(folder.occurrences(1))
    assert (sum(counts.values()), len(counts)) == (1769, 114)
    assert len(folder.occurrences(1)) == 1769
    second = folder.occurrences(2)
    first = {item.key: item for item in folder.occurrences(1)}
    assert {item.key for item in second} < set(first)
    assert 0.01 < 1 - len(second) / 1769 < 0.03
    changed = sum(item.identification != first[item.key].identification for item in second) / 1769
    assert 0.003 < changed < 0.02


def test_a_folders_names_become_synonyms_and_blanks_stay(tmp_path: Path) -> None:
    table = tmp_path / "photos.csv"
    table.write_text(
        HEADER
        + "a.jpg,Animalia,Chordata,Aves,Suliformes,Sulidae,Morus,Morus serrator,Sula serrator,CC0,Ann\n"
        + "b.jpg,Plantae,Tracheophyta,Magnoliopsida,Rosales,Moraceae,Morus,Morus alba,Morus alba,,\n"
        + "c.jpg,Animalia,Chordata,,Perciformes,Labridae,Notolabrus,Notolabrus celidotus,,,\n"
    )
    (tmp_path / "a.jpg").write_bytes(b"bytes as they are")
    found = {item.identification.lineage[-1]: item for item in Folder(table).occurrences(1)}
    gannet, mulberry, wrasse = (found[name] for name in ("Morus serrator", "Morus alba", "Notolabrus celidotus"))
    assert gannet.identification.status == "SYNONYM"
    assert gannet.identification.scientific_name == "Sula serrator"
    assert gannet.identification.accepted_key == gannet.identification.keys["species"]
    assert gannet.identification.keys["genus"] != mulberry.identification.keys["genus"]
    assert (gannet.media[0].licence, gannet.media[0].rights_holder) == ("CC0", "Ann")
    assert mulberry.media[0].licence == ""
    assert "class" not in wrasse.identification.keys
    assert Folder(table).original(gannet.media[0].media_id) == b"bytes as they are"
    assert Folder(table).original(mulberry.media[0].media_id) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("path,species\na.jpg,Morus alba\n", "has no column kingdom"),
        (HEADER + "../a.jpg,P,T,M,R,M,Morus,Morus alba,,,\n", "outside the folder"),
        (HEADER + "/etc/a.jpg,P,T,M,R,M,Morus,Morus alba,,,\n", "outside the folder"),
        (HEADER + "a.jpg,P,T,M,R,M,,Morus alba,,,\n", "must not be blank"),
    ],
)
def test_an_unusable_list_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    table = tmp_path / "photos.csv"
    table.write_text(content)
    with pytest.raises(FolderError, match=reason):
        Folder(table)
