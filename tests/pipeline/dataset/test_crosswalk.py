"""Two checklists in one archive: translated by a crosswalk, or rejected; never merged by name, never doubled."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from ml.spec import RANKS
from pipeline.config.settings import COL_XR_CHECKLIST, Settings
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.dataset.crosswalk import COLUMNS, dataset_checklist, read_crosswalk
from pipeline.errors import TableError
from tests.pipeline.tiny import BLACKBIRD, Row, occurrence, read, write

Cleaner = Callable[..., tuple[dict[str, Row], dict[str, tuple[str, str]]]]

BACKBONE = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"
COL_KEYS = ["N", "CH2", "V2", "3W5", "FKZ", "8VQ", "5B8Q2"]
BACKBONE_KEYS = [BLACKBIRD[f"{rank}_key"] for rank in RANKS]


def in_col(key: str, **changes: object) -> Row:
    """The blackbird in Catalogue of Life XR, in an order of another spelling."""
    keys = {f"{rank}_key": value for rank, value in zip(RANKS, COL_KEYS, strict=True)}
    own = {"checklist_key": COL_XR_CHECKLIST, "taxon_key": "5B8Q2", "accepted_taxon_key": "5B8Q2"}
    return occurrence(key, **{**keys, **own, "order": "Passeres", **changes})


def in_backbone(key: str, **changes: object) -> Row:
    """The blackbird in the integer backbone."""
    return occurrence(key, **{"checklist_key": BACKBONE, **changes})


def crosswalk(pairs: list[tuple[str, str]]) -> pa.Table:
    """Backbone to Catalogue of Life XR."""
    rows = [(BACKBONE, old, COL_XR_CHECKLIST, new) for old, new in pairs]
    return pa.table({name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)})


@pytest.fixture
def clean(make_settings: Callable[..., Settings], tmp_path: Path) -> Cleaner:
    """Clean these rows, with a crosswalk of these pairs when there are any."""

    def run(
        rows: list[Row], pairs: list[tuple[str, str]] | None = None
    ) -> tuple[dict[str, Row], dict[str, tuple[str, str]]]:
        path = None
        if pairs is not None:
            path = tmp_path / "crosswalk.parquet"
            pq.write_table(crosswalk(pairs), path)
        settings = make_settings(taxonomy={"crosswalk": path})
        write(settings.paths, "occurrences", rows)
        kept = read(build_clean_occurrences(settings.paths, settings))
        rejected = read(settings.paths.rejections_of("clean_occurrences"))
        return (
            {row["occurrence_key"]: row for row in kept},
            {row["key"]: (row["rule"], row["detail"]) for row in rejected},
        )

    return run


WHOLE = list(zip(BACKBONE_KEYS, COL_KEYS, strict=True))


def test_an_archive_of_one_other_checklist_is_taken_as_it_is(clean: Cleaner) -> None:
    kept, rejected = clean([in_backbone("1"), in_backbone("2")])
    assert rejected == {}
    assert {(row["checklist_key"], row["species_key"]) for row in kept.values()} == {(BACKBONE, "6171845")}


def test_without_a_crosswalk_rows_of_another_checklist_are_rejected(
    clean: Cleaner,
) -> None:
    kept, rejected = clean([in_col("1"), in_backbone("2"), in_backbone("3")])
    assert set(kept) == {"1"}
    reason = ("other_checklist", f"Turdus merula Linnaeus, 1758 of the checklist {BACKBONE}")
    assert rejected == {"2": reason, "3": reason}


def test_equal_keys_of_two_checklists_are_not_one_species(clean: Cleaner) -> None:
    kept, rejected = clean([in_col("1", species_key="6171845"), in_backbone("2", species="Aus bus")])
    assert kept["1"]["species"] == "Turdus merula"
    assert rejected["2"][0] == "other_checklist"


def test_translated_rows_join_the_species_with_its_lineage(clean: Cleaner) -> None:
    kept, rejected = clean([in_col("1"), in_backbone("2"), in_backbone("3")], WHOLE)
    assert rejected == {}
    lineages = {tuple(row[name] for rank in RANKS for name in (rank, f"{rank}_key")) for row in kept.values()}
    assert len(lineages) == 1
    assert {row["order"] for row in kept.values()} == {"Passeres"}, "names follow the wanted checklist"
    assert {(row["checklist_key"], row["species_key"], row["taxon_key"]) for row in kept.values()} == {
        (COL_XR_CHECKLIST, "5B8Q2", "5B8Q2")
    }


def test_a_species_that_only_the_other_checklist_has_is_translated(
    clean: Cleaner,
) -> None:
    thrush = {"species": "Turdus philomelos", "species_key": "77"}
    kept, _ = clean([in_col("1"), in_backbone("2", **thrush)], [*WHOLE, ("77", "7TG")])
    assert (kept["2"]["species"], kept["2"]["species_key"]) == ("Turdus philomelos", "7TG")
    assert kept["2"]["genus_key"] == kept["1"]["genus_key"] == "8VQ"
    assert kept["2"]["order"] == "Passeres"


@pytest.mark.parametrize("missing", [BACKBONE_KEYS[-1], BACKBONE_KEYS[-2], BACKBONE_KEYS[0]])
def test_a_row_whose_lineage_is_not_wholly_in_the_crosswalk_is_rejected(clean: Cleaner, missing: str) -> None:
    kept, rejected = clean([in_col("1"), in_backbone("2")], [pair for pair in WHOLE if pair[0] != missing])
    assert set(kept) == {"1"}
    assert rejected["2"][0] == "other_checklist"


def test_a_species_with_two_targets_is_not_guessed(clean: Cleaner) -> None:
    _, rejected = clean([in_backbone("1")], [*WHOLE, (BACKBONE_KEYS[-1], "7TG")])
    assert rejected["1"][0] == "other_checklist"


def test_translated_rows_are_judged_like_all_others(clean: Cleaner) -> None:
    odd = [in_backbone("2", occurrence_status="ABSENT"), in_backbone("3", identification_qualifier="cf.")]
    kept, rejected = clean([in_col("1"), *odd, in_backbone("4", verbatim_name="Turdus aff. merula")], WHOLE)
    assert set(kept) == {"1"}
    assert {key: rule for key, (rule, _) in rejected.items()} == {
        "2": "absent", "3": "provisional_name", "4": "provisional_name",
    }  # fmt: skip


def test_blank_ranks_stay_blank(clean: Cleaner) -> None:
    kept, _ = clean([in_backbone("1", **{"class": None, "class_key": None})], WHOLE)
    assert (kept["1"]["class"], kept["1"]["class_key"]) == (None, None)
    assert kept["1"]["species_key"] == "5B8Q2"


def test_the_configured_checklist_comes_first() -> None:
    assert dataset_checklist(["a", "b"], configured="b", translates=False) == "b"
    assert dataset_checklist(["a"], configured="b", translates=False) == "a"
    assert dataset_checklist(["a"], configured="b", translates=True) == "b"
    assert dataset_checklist([], configured="b", translates=False) == "b"


def test_a_crosswalk_may_be_a_csv_and_its_keys_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "crosswalk.csv"
    pc.write_csv(crosswalk([("01", "V2"), ("1", "3")]), path)
    assert read_crosswalk(path)["from_key"].to_pylist() == ["01", "1"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_spreadsheet_may_separate_a_crosswalk_as_it_likes(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "crosswalk.csv"
    lines = (COLUMNS, ("a", "01", "b", "V2"))
    path.write_text("\r\n".join(delimiter.join(line) for line in lines), encoding="utf-8-sig")
    assert read_crosswalk(path).to_pylist() == [dict(zip(COLUMNS, lines[1], strict=True))]


def test_a_crosswalk_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot read the crosswalk"):
        read_crosswalk(tmp_path / "nothing.csv")
    (tmp_path / "short.csv").write_text("from_key,to_key\n1,2\n")
    with pytest.raises(TableError, match="has no column from_checklist, to_checklist"):
        read_crosswalk(tmp_path / "short.csv")
