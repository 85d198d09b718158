"""Each rule of cleaning with the row that meets it, and what becomes of the row."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.spec import RANKS
from pipeline.config.settings import Settings
from pipeline.dataset.clean import RULES, build_clean_occurrences
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, occurrence, read, write


def clean(settings: Settings, rows: list[Row]) -> tuple[dict[str, Row], dict[str, str]]:
    """The clean rows by key, and the rule of every rejected key."""
    write(settings.paths, "occurrences", rows)
    kept = read(build_clean_occurrences(settings.paths, settings))
    rejected = read(settings.paths.rejections_of("clean_occurrences"))
    return {row["occurrence_key"]: row for row in kept}, {row["key"]: row["rule"] for row in rejected}


TIMES = "\N{MULTIPLICATION SIGN}"
NO_LINEAGE = dict.fromkeys([*RANKS, *(f"{rank}_key" for rank in RANKS), "taxon_key", "accepted_taxon_key"])

REMOVED: list[tuple[str, Row]] = [
    ("absent", {"occurrence_status": "ABSENT", "individual_count": 0}),
    ("out_of_scope", {"dataset_key": "another"}),
    ("no_taxonomy", {**NO_LINEAGE, "scientific_name": None, "issue": "TAXON_MATCH_NONE"}),
    ("no_taxonomy", {**NO_LINEAGE, "scientific_name": "Nonesuch", "taxon_rank": None, "issue": None}),
    ("hybrid", {"scientific_name": f"Scandosorbus {TIMES} intermedia (Ehrh.) Sennikov"}),
    ("hybrid", {"scientific_name": f"{TIMES}Cuprocyparis leylandii"}),
    ("hybrid", {"scientific_name": "Anas platyrhynchos x Anas superciliosa"}),
    ("hybrid", {"scientific_name": "x Cuprocyparis leylandii"}),
    ("hybrid", {"taxon_rank": "NOTHOSPECIES"}),
    ("bold_bin", {"scientific_name": "BOLD:ADQ8259", "taxon_rank": "UNRANKED"}),
    ("bold_bin", {"scientific_name": "BOLD:ACD1886", "taxon_rank": "UNRANKED", "species": None, "species_key": None}),
    ("provisional_name", {"scientific_name": "Turdus sp."}),
    ("provisional_name", {"scientific_name": "Turdus cf. merula"}),
    ("provisional_name", {"scientific_name": "Turdus aff. merula Linnaeus"}),
    ("provisional_name", {"species": "Turdus sp. ABC-12"}),
    ("provisional_name", {"scientific_name": "SH1234567.08FU"}),
    ("higher_rank_match", {"issue": "COORDINATE_ROUNDED;TAXON_MATCH_HIGHERRANK", "taxon_rank": "GENUS"}),
    ("higher_rank_match", {"issue": "TAXON_MATCH_HIGHERRANK", "taxon_rank": None}),
    ("higher_rank_match", {"issue": "TAXON_MATCH_HIGHERRANK", "taxon_rank": "SUBSPECIES", "species_key": None}),
    ("above_species", {"taxon_rank": "GENUS", "species": None, "species_key": None}),
    ("above_species", {"taxon_rank": "UNRANKED", "species": None, "species_key": None}),
    ("above_species", {"taxon_rank": "SPECIES_AGGREGATE"}),
    ("doubtful_match", {"issue": "TAXON_MATCH_AGGREGATE"}),
    ("doubtful_match", {"issue": "COORDINATE_ROUNDED;TAXON_MATCH_NAME_AND_ID_AMBIGUOUS"}),
    ("doubtful_match", {"taxonomic_status": "DOUBTFUL"}),
    ("doubtful_match", {"taxonomic_status": "PROPARTE_SYNONYM"}),
    ("missing_species_key", {"species_key": None, "accepted_taxon_key": None, "taxonomic_status": "SYNONYM"}),
    ("missing_species_key", {"species_key": None, "taxon_rank": "SUBSPECIES"}),
    (
        "missing_species_key",
        {"species": None, "species_key": None, "taxon_key": None, "accepted_taxon_key": None, "taxonomic_status": None},
    ),
    ("missing_species_name", {"species": None}),
]


def test_a_row_that_meets_a_rule_is_removed_by_it(settings: Settings) -> None:
    rows = [occurrence(str(key), **changes) for key, (_, changes) in enumerate(REMOVED)]
    kept, rejected = clean(settings, [occurrence("good"), *rows])
    assert set(kept) == {"good"}
    assert rejected == {str(key): rule for key, (rule, _) in enumerate(REMOVED)}


def test_every_rule_is_shown_here() -> None:
    elsewhere = {"duplicate_occurrence", "other_checklist", "unusual_taxonomy", "correction", "unusable_correction"}
    assert {rule for rule, _ in REMOVED} | elsewhere == set(RULES)


@pytest.mark.parametrize(
    "changes",
    [
        {"scientific_name": "Turdus merula subsp. merula", "taxon_rank": "SUBSPECIES", "taxon_key": "7"},
        {"scientific_name": "Merula vulgaris Selby", "taxonomic_status": "SYNONYM", "taxon_key": "8"},
        {"scientific_name": "Turdus merula f. alba", "taxon_rank": "FORM", "accepted_taxon_key": "9"},
        {"taxonomic_status": "PROVISIONALLY_ACCEPTED"},
        {"issue": "TAXON_MATCH_FUZZY"},
        {"issue": "TAXON_MATCH_HIGHERRANK", "scientific_name": "Turdus merula Linnaeus, 1758"},
        {"issue": "TAXON_MATCH_HIGHERRANK", "taxon_rank": "SUBSPECIES", "taxon_key": "7"},
        {"species_key": None, "taxonomic_status": "SYNONYM", "taxon_key": "8"},
        {"species_key": None, "accepted_taxon_key": None},
        {"scientific_name": "Spelaeus affinis Xu & Max, 2001"},
        {"scientific_name": None},
    ],
)
def test_a_row_ends_under_its_accepted_species(settings: Settings, changes: Row) -> None:
    kept, rejected = clean(settings, [occurrence("1", **changes)])
    assert rejected == {}
    assert (kept["1"]["species_key"], kept["1"]["species"]) == ("6171845", "Turdus merula")


def test_one_of_several_rows_with_one_key_stays_whatever_their_order(settings: Settings) -> None:
    rows = [occurrence("1", country=country) for country in ("NZ", "AU", "FR")]
    kept, _ = clean(settings, rows)
    again, _ = clean(settings, rows[::-1])
    assert kept == again
    assert [row["rule"] for row in read(settings.paths.rejections_of("clean_occurrences"))] == [
        "duplicate_occurrence",
        "duplicate_occurrence",
    ]


def test_a_species_has_its_most_frequent_lineage(settings: Settings) -> None:
    moved = {"family": "Muscicapidae", "family_key": "9322"}
    kept, _ = clean(settings, [occurrence("1"), occurrence("2"), occurrence("3", **moved)])
    assert {row["family"] for row in kept.values()} == {"Turdidae"}
    kept, _ = clean(settings, [occurrence("1"), occurrence("2", **moved)])
    assert {row["family"] for row in kept.values()} == {"Muscicapidae"}, "a tie goes to the first in the alphabet"
    kept, _ = clean(settings, [occurrence("1"), occurrence("2", order=None, order_key=None)])
    assert {row["order"] for row in kept.values()} == {"Passeriformes"}, "a blank comes last"


def test_rows_that_are_removed_do_not_decide_a_lineage(settings: Settings) -> None:
    wrong = {"family": "Aaaaidae", "issue": "TAXON_MATCH_AGGREGATE"}
    kept, _ = clean(settings, [occurrence("1"), occurrence("2", **wrong), occurrence("3", **wrong)])
    assert kept["1"]["family"] == "Turdidae"


def test_a_missing_inner_rank_stays_blank_or_removes_the_row(make_settings: Callable[..., Settings]) -> None:
    fish = {"class": None, "class_key": None}
    kept, rejected = clean(make_settings(), [occurrence("1", **fish)])
    assert kept["1"]["class"] is None
    assert rejected == {}
    paper = make_settings(taxonomy={"unusual": "drop"})
    kept, rejected = clean(paper, [occurrence("1", **fish)])
    assert (kept, rejected) == ({}, {"1": "unusual_taxonomy"})
    (line,) = read(paper.paths.rejections_of("clean_occurrences"))
    assert line["detail"] == "Turdus merula has no class"


def test_homonym_genera_keep_their_own_lineages(settings: Settings) -> None:
    gannet = {"genus": "Morus", "genus_key": "5", "species": "Morus serrator", "species_key": "50"}
    mulberry = {
        "kingdom": "Plantae",
        "kingdom_key": "6",
        "genus": "Morus",
        "genus_key": "6",
        "species": "Morus alba",
        "species_key": "60",
    }
    kept, _ = clean(settings, [occurrence("1", **gannet), occurrence("2", **mulberry)])
    assert {(row["kingdom"], row["genus"], row["genus_key"]) for row in kept.values()} == {
        ("Animalia", "Morus", "5"),
        ("Plantae", "Morus", "6"),
    }


def test_cleaning_twice_writes_the_same_bytes(settings: Settings) -> None:
    write(settings.paths, "occurrences", [occurrence(str(key)) for key in range(20)])
    one = build_clean_occurrences(settings.paths, settings).read_bytes()
    assert build_clean_occurrences(settings.paths, settings).read_bytes() == one
    assert check_table("clean_occurrences", settings.paths.table("clean_occurrences")) == []


def test_names_matched_by_spelling_can_be_dropped(make_settings: Callable[..., Settings]) -> None:
    strict = make_settings(taxonomy={"fuzzy": "drop"})
    _, rejected = clean(strict, [occurrence("1", issue="TAXON_MATCH_FUZZY;COORDINATE_ROUNDED")])
    assert rejected == {"1": "doubtful_match"}
    (line,) = read(strict.paths.rejections_of("clean_occurrences"))
    assert line["detail"] == "Turdus merula Linnaeus, 1758, accepted, TAXON_MATCH_FUZZY;COORDINATE_ROUNDED"


ODD = st.fixed_dictionaries(
    {},
    optional={
        "occurrence_key": st.sampled_from("123"),
        "species": st.sampled_from([None, "Turdus merula", "Turdus sp.", "Aus bus"]),
        "species_key": st.sampled_from([None, "6171845", "7"]),
        "taxon_rank": st.sampled_from([None, "SPECIES", "GENUS", "SUBSPECIES", "UNRANKED"]),
        "taxonomic_status": st.sampled_from([None, "ACCEPTED", "SYNONYM"]),
        "scientific_name": st.one_of(st.none(), st.text(max_size=12), st.sampled_from([f"A {TIMES} b", "BOLD:1"])),
        "issue": st.sampled_from([None, "", "TAXON_MATCH_NONE", "TAXON_MATCH_HIGHERRANK;A"]),
        "checklist_key": st.sampled_from(["backbone", "other", None]),
        "kingdom": st.sampled_from([None, "Animalia", "Plantae"]),
        "genus": st.sampled_from([None, "Turdus", "Aus"]),
    },
)


@given(changes=st.lists(ODD, max_size=12), unusual=st.sampled_from(["placeholder", "drop"]))
@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_every_row_ends_in_exactly_one_place(
    make_settings: Callable[..., Settings], changes: list[Row], unusual: str
) -> None:
    settings = make_settings(taxonomy={"unusual": unusual})
    rows = [occurrence(**{"key": str(index), **change}) for index, change in enumerate(changes)]
    write(settings.paths, "occurrences", rows)
    kept = read(build_clean_occurrences(settings.paths, settings))
    rejected = read(settings.paths.rejections_of("clean_occurrences"))
    ends = Counter(row["occurrence_key"] for row in kept) + Counter(row["key"] for row in rejected)
    assert ends == Counter(row["occurrence_key"] for row in rows)
    assert {row["rule"] for row in rejected} <= set(RULES)
    assert check_table("clean_occurrences", settings.paths.table("clean_occurrences")) == []
    lineages = {tuple(row[rank] for rank in (*RANKS, "species_key")) for row in kept}
    assert len(lineages) == len({row["species_key"] for row in kept})


def test_where_and_by_whom_does_not_decide_which_copy_of_a_record_stays(settings: Settings) -> None:
    rows = [occurrence(str(key), event_date=f"20{day}") for key in range(12) for day in (10, 11, 12)]
    plain, _ = clean(settings, rows)
    said = [
        {**row, "coordinate_uncertainty_m": number / 7, "information_withheld": "x", "observer": f"{number}"}
        for number, row in enumerate(rows)
    ]
    told, _ = clean(settings, said)
    before, after = ({key: row["event_date"] for key, row in rows.items()} for rows in (plain, told))
    assert before == after
    assert len(set(before.values())) > 1, "not all are decided alike"
    assert all(row["observer"] for row in told.values())
