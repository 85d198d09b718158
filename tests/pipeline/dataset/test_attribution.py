"""Everyone whose photograph is used is named, and what the licences mean for a model is said."""

import pytest

from pipeline.config.licence_names import LICENCES, OPEN
from pipeline.config.settings import Settings
from pipeline.dataset.attribution import build_attribution, licence_counts, licence_statement
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, occurrence, photo, read, write


def attribution_of(settings: Settings, photos: list[Row], *, genus_photos: int = 0) -> list[Row]:
    """The credits of photographs that are all used, the last ones by the genus stage."""
    occurrences = [occurrence(row["occurrence_key"]) for row in photos]
    write(settings.paths, "clean_occurrences", occurrences)
    write(settings.paths, "photos", photos)
    node = {"node_id": 0, "depth": 7, "rank": "species", "name": "Turdus merula", "taxon_key": "6171845", "class_id": 0}
    write(settings.paths, "taxonomy", [node])
    used = [
        {"photo_id": row["photo_id"], "occurrence_key": row["occurrence_key"], "observation_id": "o", "path": "p.jpg"}
        for row in photos
    ]
    side = len(used) - genus_photos
    write(settings.paths, "split", [{**row, "class_id": 0, "split": "train"} for row in used[:side]])
    rare = {"taxon_key": "r", "species": "Turdus rarus", "node_id": 0}
    write(settings.paths, "genus_photos", [{**row, **rare} for row in used[side:]])
    table = build_attribution(settings.paths)
    assert check_table("attribution", table) == []
    return read(table)


def test_every_photograph_names_its_holder_else_its_creator_else_says_that_nobody_is_known(settings: Settings) -> None:
    photos = [
        photo("1", of="1", rights_holder="A. Ngata", creator="B. Lim"),
        photo("2", of="2", rights_holder=None, creator="B. Lim"),
        photo("3", of="3", rights_holder=None, creator=None),
        photo("4", of="4", rights_holder=None, creator=None),
    ]
    named = attribution_of(settings, photos, genus_photos=1)
    assert {row["photo_id"]: row["credit"] for row in named} == {
        "1": "A. Ngata",
        "2": "B. Lim",
        "3": "unknown holder",
        "4": "unknown holder",
    }
    assert [(row["rights_holder"], row["creator"]) for row in named[2:]] == [(None, None)] * 2, "nothing is made up"


def test_licences_are_counted_the_most_frequent_first(settings: Settings) -> None:
    licences = ["CC-BY", "CC0", "CC-BY", None]
    photos = [photo(f"{n}", of=f"{n}", licence=licence) for n, licence in enumerate(licences)]
    attribution_of(settings, photos)
    assert list(licence_counts(settings.paths.table("attribution")).items()) == [
        ("CC-BY", 2),
        ("CC0", 1),
        ("unknown", 1),
    ]


def test_free_photographs_limit_nothing() -> None:
    assert licence_statement({"CC-BY": 3, "CC0": 2, "PDM": 1}) == (
        "Licences of the 6 photographs: 3 CC-BY, 2 CC0, 1 PDM. "
        "Nothing here licenses the weights: whoever trained them decides about that."
    )
    assert licence_statement({}) == "The dataset has no photograph."


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("CC-BY-NC", ["may be used commercially is unsettled"]),
        ("CC-BY-SA", ["under the same licence"]),
        ("CC-BY-ND", ["do not allow adaptations"]),
        ("CC-BY-NC-SA", ["commercial", "under the same licence"]),
        ("CC-BY-NC-ND", ["commercial", "do not allow adaptations"]),
        ("all rights reserved", ["consent of their holders"]),
        ("unknown", ["consent of their holders"]),
        ("other", ["consent of their holders"]),
    ],
)
def test_each_limit_is_said_with_its_share(licence: str, words: list[str]) -> None:
    statement = licence_statement({licence: 94, "CC0": 6})
    assert statement.count("94 % are under") == len(words)
    for word in words:
        assert word in statement
    assert "100 % are under" in licence_statement({licence: 1})


def test_a_few_photographs_are_not_rounded_away() -> None:
    assert "1 % are under no open licence" in licence_statement({"CC0": 999_999, "unknown": 1})
    assert "99 % are under licences that do not allow commercial use" in licence_statement({"CC-BY-NC": 999, "CC0": 1})


def test_open_are_the_licences_of_creative_commons_and_the_public_domain() -> None:
    assert set(LICENCES) - set(OPEN) == {"all rights reserved", "unknown", "other"}
