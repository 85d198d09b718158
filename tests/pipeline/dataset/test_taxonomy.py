"""The tree: preorder numbers, nested leaf ranges, homonyms apart, placeholders where GBIF is blank."""

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.spec import RANKS
from pipeline.config.settings import Settings
from pipeline.dataset.invariants import tree
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.errors import TableError
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, read, species, write


def nodes(settings: Settings, rows: list[Row]) -> list[Row]:
    """The nodes of the tree of `rows`, which keeps its contract and is a tree."""
    write(settings.paths, "species", rows)
    table = build_taxonomy(settings.paths, settings)
    assert check_table("taxonomy", table) == []
    assert tree(settings.paths) == []
    return read(table)


def test_two_species_of_a_genus(settings: Settings) -> None:
    found = nodes(settings, [species("Turdus philomelos", key="2", photos=7), species("Turdus merula", key="1")])
    assert [row["name"] for row in found] == [
        "Life",
        "Animalia",
        "Chordata",
        "Aves",
        "Passeriformes",
        "Turdidae",
        "Turdus",
        "Turdus merula",
        "Turdus philomelos",
    ]
    assert [row["rank"] for row in found] == ["root", *RANKS, "species"]
    assert [row["depth"] for row in found] == [0, 1, 2, 3, 4, 5, 6, 7, 7]
    assert [row["parent_id"] for row in found] == [None, 0, 1, 2, 3, 4, 5, 6, 6]
    assert [row["class_id"] for row in found] == [*[None] * 7, 0, 1]
    assert {(row["leaf_begin"], row["leaf_end"]) for row in found[:7]} == {(0, 2)}
    assert [row["photos"] for row in found] == [*[12] * 7, 5, 7]
    assert [row["taxon_key"] for row in found[:2]] == [None, "1"]
    assert [row["checklist_key"] for row in found[:2]] == [None, "backbone"]


def test_the_mulberry_and_the_gannet_are_two_genera(settings: Settings) -> None:
    gannet = {"order": "Suliformes", "family": "Sulidae", "genus": "Morus", "genus_key": "5"}
    mulberry = {
        "kingdom": "Plantae",
        "kingdom_key": "6",
        "phylum": "Tracheophyta",
        "class": "Magnoliopsida",
        "order": "Rosales",
        "family": "Moraceae",
        "genus": "Morus",
        "genus_key": "6",
    }
    found = nodes(
        settings, [species("Morus serrator", key="50", **gannet), species("Morus alba", key="60", **mulberry)]
    )
    genera = [row for row in found if row["name"] == "Morus"]
    assert [row["taxon_key"] for row in genera] == ["5", "6"]
    assert [row["leaf_end"] - row["leaf_begin"] for row in genera] == [1, 1]


def test_homonyms_in_one_family_are_kept_apart_by_key(settings: Settings) -> None:
    found = nodes(
        settings,
        [
            species("Aus bus", key="1", genus="Aus", genus_key="8"),
            species("Aus cus", key="2", genus="Aus", genus_key="9"),
        ],
    )
    assert [row["taxon_key"] for row in found if row["name"] == "Aus"] == ["8", "9"]


def test_missing_ranks_become_placeholders(settings: Settings) -> None:
    fish = {"class": None, "class_key": None, "order": None, "order_key": None}
    found = nodes(settings, [species("Salmo salar", key="1", **fish), species("Turdus merula", key="2")])
    placeholders = [row for row in found if row["placeholder"]]
    assert [(row["rank"], row["name"], row["taxon_key"], row["checklist_key"]) for row in placeholders] == [
        ("class", "Chordata (no class)", None, None),
        ("order", "Chordata (no order)", None, None),
    ]
    assert {row["depth"] for row in found if row["class_id"] is not None} == {7}


def test_a_species_without_any_higher_rank_hangs_below_placeholders(settings: Settings) -> None:
    blank = dict.fromkeys([*RANKS[:-1], *(f"{rank}_key" for rank in RANKS[:-1])])
    found = nodes(settings, [species("Incerta sedis", key="1", **blank)])
    assert [row["name"] for row in found[1:3]] == ["Life (no kingdom)", "Life (no phylum)"]


def test_no_species_is_an_error_that_says_what_to_do(settings: Settings) -> None:
    write(settings.paths, "species", [])
    with pytest.raises(TableError, match=r"lower split\.min_images"):
        build_taxonomy(settings.paths, settings)


NAME = st.sampled_from([None, "A", "B", "Á", "a b", "A (no order)"])
LINEAGE = st.tuples(*[NAME] * 6, *[st.sampled_from([None, "1", "2"])] * 6)


@given(lineages=st.lists(LINEAGE, min_size=1, max_size=12))
@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_it_is_always_a_tree(settings: Settings, lineages: list[tuple[str | None, ...]]) -> None:
    rows = [
        species(
            f"S{index % 3}",
            key=str(index),
            photos=index + 5,
            **dict(zip(RANKS[:-1], lineage[:6], strict=True)),
            **{
                f"{rank}_key": key if name else None
                for rank, key, name in zip(RANKS[:-1], lineage[6:], lineage[:6], strict=True)
            },
        )
        for index, lineage in enumerate(lineages)
    ]
    found = nodes(settings, rows)
    leaves = [row for row in found if row["class_id"] is not None]
    assert [row["class_id"] for row in leaves] == list(range(len(rows)))
    assert {row["taxon_key"] for row in leaves} == {row["taxon_key"] for row in rows}
    by_id = {row["node_id"]: row for row in found}
    for row in found[1:]:
        parent = by_id[row["parent_id"]]
        assert parent["leaf_begin"] <= row["leaf_begin"] < row["leaf_end"] <= parent["leaf_end"]
        assert parent["depth"] == row["depth"] - 1
    for node in found:
        below = leaves[node["leaf_begin"] : node["leaf_end"]]
        assert node["photos"] == sum(leaf["photos"] for leaf in below)
