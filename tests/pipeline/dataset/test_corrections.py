"""A person's corrections change the dataset as GBIF's would; lines that cannot be used leave a trace, never the run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config.settings import Settings
from pipeline.corrections import read_corrections
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.errors import TableError
from pipeline.photos.index import build_photo_index
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, occurrence, read, write

SONG_THRUSH: Row = {"species": "Turdus philomelos", "species_key": "2490719", "taxon_key": "2490719"}
KEA: Row = {
    **SONG_THRUSH, "species": "Nestor notabilis", "species_key": "5", "taxon_key": "5", "genus": "Nestor",
    "genus_key": "50", "family": "Strigopidae", "family_key": "500", "order": None, "order_key": None,
}  # fmt: skip
RECORDS = [
    occurrence("1"),
    occurrence("2", observation_id="o1"),
    occurrence("3", **SONG_THRUSH),
    occurrence("4", **KEA),
    occurrence("5", taxon_rank="GENUS", species=None, species_key=None),
]


@pytest.fixture
def corrected(make_settings: Callable[..., Settings], tmp_path: Path) -> Callable[[str], Settings]:
    """Five records cleaned with the lines of a file of corrections."""

    def run(text: str) -> Settings:
        (tmp_path / "corrections.csv").write_text(text, encoding="utf-8")
        settings = make_settings(labels={"corrections": tmp_path / "corrections.csv"})
        write(settings.paths, "occurrences", RECORDS)
        build_clean_occurrences(settings.paths, settings)
        assert check_table("clean_occurrences", settings.paths.table("clean_occurrences")) == []
        return settings

    return run


def clean(settings: Settings) -> dict[str, Row]:
    return {row["occurrence_key"]: row for row in read(settings.paths.table("clean_occurrences"))}


def rejected(settings: Settings, stage: str = "clean_occurrences") -> dict[str, tuple[str, str]]:
    return {row["key"]: (row["rule"], row["detail"]) for row in read(settings.paths.rejections_of(stage))}


@pytest.mark.parametrize("name", ["Nestor notabilis", "nestor notabilis", "5"])
def test_a_record_under_a_new_name_is_as_if_gbif_had_identified_it_anew(
    corrected: Callable[[str], Settings], name: str
) -> None:
    found = clean(corrected(f"occurrence_key,action,species,who,why\n1,identify,{name},A. Ngata,seen\n"))
    kea = {name: value for name, value in found["4"].items() if name not in {"occurrence_key", "observation_id"}}
    assert found["1"] == {
        **kea, "occurrence_key": "1", "observation_id": "o1", "accepted_taxon_key": "5",
        "scientific_name": "Nestor notabilis",
    }  # fmt: skip
    assert found["2"]["species"] == "Turdus merula"


def test_an_observation_takes_all_its_records_along(corrected: Callable[[str], Settings]) -> None:
    found = clean(corrected("observation_id;action;species\no1;identify;Turdus philomelos\n"))
    assert [found[key]["species_key"] for key in ("1", "2")] == ["2490719"] * 2


def test_a_record_that_is_dropped_leaves_a_line(corrected: Callable[[str], Settings]) -> None:
    settings = corrected("occurrence_key,action,species,who,why\n3,drop,,A. Ngata,a drawing\n")
    assert set(clean(settings)) == {"1", "2", "4"}
    assert rejected(settings)["3"] == ("correction", "Turdus philomelos: A. Ngata, a drawing")


@pytest.mark.parametrize(
    ("line", "key", "problem"),
    [
        ("9,identify,Turdus philomelos,", "9", "no record 9"),
        ("1,identify,Moa moa,", "1", "no record of the dataset is under Moa moa"),
        ("1,identify,,", "1", "identify needs a species"),
        ("1,rename,Turdus philomelos,", "1", "the action 'rename' is none of identify, drop"),
        (",drop,,", "line 2", "it names no photo_id, occurrence_key or observation_id"),
        ("1,drop,,Turdus philomelos", "1", "the record is under Turdus merula by now, not under Turdus philomelos"),
    ],
)
def test_a_line_that_cannot_be_used_leaves_a_trace(
    corrected: Callable[[str], Settings], line: str, key: str, problem: str
) -> None:
    settings = corrected(f"occurrence_key,action,species,given\n{line}\n4,drop,,\n")
    assert rejected(settings)[key] == ("unusable_correction", f"line 2: {problem}")
    assert {key: row["species"] for key, row in clean(settings).items()} == {
        "1": "Turdus merula", "2": "Turdus merula", "3": "Turdus philomelos",
    }, "the other line counts"  # fmt: skip


def test_a_record_that_a_rule_removed_is_not_brought_back(corrected: Callable[[str], Settings]) -> None:
    settings = corrected("occurrence_key,action,species\n5,identify,Turdus merula\n")
    rules = sorted(row["rule"] for row in read(settings.paths.rejections_of("clean_occurrences")) if row["key"] == "5")
    assert rules == ["above_species", "unusable_correction"]


def test_the_last_line_about_a_record_counts(corrected: Callable[[str], Settings]) -> None:
    settings = corrected("occurrence_key,action,species\n1,drop,\n1,identify,Turdus philomelos\n")
    assert clean(settings)["1"]["species"] == "Turdus philomelos"
    assert rejected(settings)["1"] == ("unusable_correction", "line 2: line 3 is about the same record")


def test_a_line_without_an_action_asks_for_nothing(corrected: Callable[[str], Settings]) -> None:
    settings = corrected("occurrence_key,action,species\n1,,Turdus philomelos\n")
    assert clean(settings)["1"]["species"] == "Turdus merula"
    assert "1" not in rejected(settings)


def test_a_photograph_is_dropped_by_itself(corrected: Callable[[str], Settings]) -> None:
    lines = ("7,1,drop,A. Ngata,a hand", "77,1,drop,,", "8,,identify,,")
    settings = corrected("\n".join(("photo_id,occurrence_key,action,who,why", *lines)))
    media = [
        {"occurrence_key": "1", "position": place, "url": f"https://photos.replica.test/photos/{number}/large.jpg",
         "format": "image/jpeg", "type": "StillImage", "licence": "CC-BY"}
        for place, number in enumerate((6, 7, 8))
    ]  # fmt: skip
    write(settings.paths, "media", media)
    index = {row["photo_id"] for row in read(build_photo_index(settings.paths, settings))}
    assert index == {"6", "8"}
    found = rejected(settings, "photo_index")
    assert found["7"] == ("correction", "A. Ngata, a hand")
    assert found["77"] == ("unusable_correction", "line 3: no photograph 77")
    assert found["8"][0] == "unusable_correction"
    assert "identify needs a species" in found["8"][1]
    assert set(clean(settings)) == {"1", "2", "3", "4"}


def test_a_spreadsheet_may_have_written_the_file(tmp_path: Path) -> None:
    file = tmp_path / "corrections.csv"
    file.write_bytes("\ufeffphoto_id\tAction\taction\tspecies\r\n'7\tx\tdrop\t'=Turdus merula\r\n".encode())
    (line,) = read_corrections(file).photos.to_pylist()
    assert (line["photo_id"], line["action"], line["species"]) == ("7", "drop", "=Turdus merula")


@pytest.mark.parametrize("content", [b"species,who\nTurdus merula,x\n", b"action\ndrop\n", b"", b"\xff\xfe\x00"])
def test_a_file_that_is_no_table_of_corrections_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "corrections.csv").write_bytes(content)
    with pytest.raises(TableError, match=r"labels\.corrections"):
        read_corrections(tmp_path / "corrections.csv")
