"""Identifications in Darwin Core: real terms, stable identifiers, and nobody who takes them for a person's."""

import csv
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml.exports import ExportError, ExportOptions, write
from ml.exports.darwin_core import TERMS

WHEN = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
IDENTIFICATION = {
    "identificationID", "verbatimIdentification", "identificationQualifier", "typeStatus", "identifiedBy",
    "identifiedByID", "dateIdentified", "identificationReferences", "identificationVerificationStatus",
    "identificationRemarks",
}  # fmt: skip
"""Darwin Core's class Identification: https://dwc.tdwg.org/terms/#identification."""
TAXON = {
    "taxonID", "scientificNameID", "scientificName", "higherClassification", "kingdom", "phylum", "class", "order",
    "superfamily", "family", "subfamily", "tribe", "subtribe", "genus", "subgenus", "specificEpithet",
    "infraspecificEpithet", "taxonRank", "scientificNameAuthorship", "vernacularName", "nomenclaturalCode",
}  # fmt: skip
"""Terms of its class Taxon."""
OCCURRENCE = {"occurrenceID", "associatedMedia"}
"""Terms of its class Occurrence."""
EVENT, LOCATION = {"eventDate"}, {"decimalLatitude", "decimalLongitude", "geodeticDatum"}
"""Terms of its classes Event and Location."""

GREY_WARBLER = ["Animalia", "Chordata", "Aves", "Passeriformes", "Acanthizidae", "Gerygone", "Gerygone igata"]


def answered(names: list[str], *, photo: str = "IMG_1.jpg", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """An answer as the command writes it, down to the last of the names."""
    lineage = [
        {
            "rank": rank, "name": name, "taxon_key": str(100 + depth), "common_name": None,
            "gbif": f"https://www.gbif.org/species/{100 + depth}", "probability": 0.99 - 0.02 * depth,
        }
        for depth, (rank, name) in enumerate(zip(RANKS, names, strict=False), start=1)
    ]  # fmt: skip
    last: dict[str, Any] = lineage[-1] if lineage else {"name": "Life", "rank": "root", "taxon_key": None}
    return {
        "photo": photo, "model": {"name": "naturewatch", "version": "12"}, "target": 0.95, "within": [],
        "renormalise": True, "taxon": last["name"], "rank": last["rank"], "taxon_key": last["taxon_key"],
        "depth": len(lineage), "probability": last.get("probability", 1.0), "threshold": 0.7, "rule": "threshold",
        "lineage": lineage, "common_name": None, "gbif": last.get("gbif"), "top": [], "watch": [], "novelty": None,
        "promise": {"target": 0.95, "kept": True, "text": "right 19 times in 20 at this setting"},
        "warnings": [], **more,
    }  # fmt: skip


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def rows_of(tmp_path: Path, *answers: dict[str, Any], **options: Any) -> list[dict[str, str]]:  # noqa: ANN401
    write(
        format="darwin-core", answers=answers, path=tmp_path / "out.csv",
        options=ExportOptions(identified=WHEN, **options),
    )  # fmt: skip
    return table(tmp_path / "out.csv")


def test_every_column_is_a_term_of_darwin_core() -> None:
    assert set(TERMS) <= IDENTIFICATION | TAXON | OCCURRENCE | EVENT | LOCATION
    assert set(TERMS.values()) == {f"http://rs.tdwg.org/dwc/terms/{name}" for name in TERMS}


def test_a_species_is_told_with_its_ranks_its_machine_and_its_promise(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, answered(GREY_WARBLER, common_name="Grey warbler"))
    assert row.pop("identificationID").startswith("urn:uuid:")
    assert row == {
        "occurrenceID": "", "associatedMedia": "IMG_1.jpg", "verbatimIdentification": "Gerygone igata",
        "eventDate": "", "decimalLatitude": "", "decimalLongitude": "", "geodeticDatum": "",
        "scientificName": "Gerygone igata", "taxonRank": "species", "taxonID": "https://www.gbif.org/species/107",
        "vernacularName": "Grey warbler", "kingdom": "Animalia", "phylum": "Chordata", "class": "Aves",
        "order": "Passeriformes", "family": "Acanthizidae", "genus": "Gerygone", "specificEpithet": "igata",
        "identifiedBy": "NatureWatch naturewatch version 12", "identifiedByID": "models:/naturewatch/12",
        "dateIdentified": "2026-11-26T09:30:00+00:00", "identificationVerificationStatus": "PredictedByMachine",
        "identificationReferences": "NatureWatch naturewatch version 12 (models:/naturewatch/12)",
        "identificationRemarks": "machine identification, not checked by a person; probability 0.8500; target accuracy "
        "0.95; right 19 times in 20 at this setting",
    }  # fmt: skip


def test_above_species_nothing_is_said_of_lower_ranks(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, answered(GREY_WARBLER[:5]))
    assert (row["scientificName"], row["taxonRank"], row["taxonID"][-3:]) == ("Acanthizidae", "family", "105")
    assert (row["family"], row["genus"], row["specificEpithet"]) == ("Acanthizidae", "", "")


def test_a_rank_that_the_taxonomy_leaves_out_stays_empty(tmp_path: Path) -> None:
    def without_class(*, until: int) -> dict[str, Any]:
        answer = answered(["Animalia", "Chordata", "Chordata (no class)", "Squamata"][:until])
        answer["lineage"][2] |= {"taxon_key": None, "gbif": None}
        if until == 3:
            answer |= {"taxon_key": None, "gbif": None}
        return answer

    order, phylum = rows_of(tmp_path, without_class(until=4), without_class(until=3))
    assert (order["scientificName"], order["class"], order["order"]) == ("Squamata", "", "Squamata")
    # The placeholder is no taxon: the deepest that is one is named, with its own probability.
    assert (phylum["scientificName"], phylum["taxonRank"], phylum["taxonID"][-3:]) == ("Chordata", "phylum", "102")
    assert "probability 0.9500" in phylum["identificationRemarks"]


def test_answers_of_earlier_versions_are_read_as_well(tmp_path: Path) -> None:
    answer = answered(GREY_WARBLER)
    for name in ("common_name", "gbif", "promise", "warnings", "novelty"):
        del answer[name]
    for step in answer["lineage"]:
        del step["gbif"], step["common_name"]
    (row,) = rows_of(tmp_path, answer)
    assert (row["taxonID"], row["vernacularName"]) == ("107", "")


def test_what_has_no_answer_is_told_apart_with_the_reason(tmp_path: Path) -> None:
    written = write(
        format="darwin-core", path=tmp_path / "out.csv",
        answers=[{"photo": "a.jpg", "error": "the file is empty"}, answered(GREY_WARBLER), answered([], photo="b.jpg")],
    )  # fmt: skip
    assert (written.answered, written.unanswered) == (1, 2)
    assert written.files == (tmp_path / "out.csv", tmp_path / "out.unanswered.csv")
    failed, unsure = table(tmp_path / "out.unanswered.csv")
    assert failed == {"associatedMedia": "a.jpg", "occurrenceID": "", "reason": "the file is empty"}
    assert unsure["reason"].startswith("not sure of any kingdom; machine identification")


def test_where_the_model_says_why_it_stopped_its_words_are_taken(tmp_path: Path) -> None:
    text = "No kingdom reaches 0.70: the likeliest, Animalia, has 0.61."
    unsure = answered([], stop={"reason": "threshold", "next": None, "text": text})
    write(format="darwin-core", answers=[unsure], path=tmp_path / "out.csv")
    assert table(tmp_path / "out.unanswered.csv")[0]["reason"] == text


def test_several_photographs_of_one_organism_are_one_identification(tmp_path: Path) -> None:
    answer = answered(GREY_WARBLER, photo="bird 7", photos=["a.jpg", "b.jpg"])
    (row,) = rows_of(tmp_path, answer, occurrences={"b.jpg": "urn:catalog:7"})
    assert (row["associatedMedia"], row["occurrenceID"]) == ("a.jpg | b.jpg", "urn:catalog:7")


def test_an_identifier_is_the_same_each_time_and_another_for_each_identification(tmp_path: Path) -> None:
    answers = [
        answered(GREY_WARBLER), answered(GREY_WARBLER, photo="IMG_2.jpg"), answered(GREY_WARBLER, target=0.8),
        answered(GREY_WARBLER, model={"name": "naturewatch", "version": "13"}), answered(GREY_WARBLER[:6]),
        # Two cameras call their photographs alike.
        answered(GREY_WARBLER),
    ]  # fmt: skip
    first = [row["identificationID"] for row in rows_of(tmp_path, *answers)]
    assert len(set(first)) == len(answers)
    assert [row["identificationID"] for row in rows_of(tmp_path, *answers)] == first


def test_the_model_may_be_named_by_an_address_that_others_can_open(tmp_path: Path) -> None:
    address = "https://mlflow.example.org/#/models/naturewatch/versions/12"
    (row,) = rows_of(tmp_path, answered(GREY_WARBLER), model_uri=address)
    assert row["identifiedByID"] == address
    assert row["identificationReferences"] == f"NatureWatch naturewatch version 12 ({address})"
    (row,) = rows_of(tmp_path, answered(GREY_WARBLER), model_uri=address, references="doi:10.15468/x")
    assert row["identificationReferences"] == "doi:10.15468/x"


def test_names_that_are_no_text_and_names_with_commas_and_lines_survive(tmp_path: Path) -> None:
    names = ["caf\udce9.jpg", 'a "b",\nc.jpg', "Kākāpō.jpg"]
    rows = rows_of(tmp_path, *(answered(GREY_WARBLER, photo=name) for name in names))
    assert [row["associatedMedia"] for row in rows] == ["caf\\udce9.jpg", *names[1:]]


def test_both_tables_come_as_one_file_where_that_is_wanted(tmp_path: Path) -> None:
    written = write(format="darwin-core", answers=[answered(GREY_WARBLER)], path=tmp_path / "out.zip")
    assert written.files == (tmp_path / "out.zip",)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == ["identifications.csv", "unanswered.csv"]
        assert "Gerygone igata" in archive.read("identifications.csv").decode()
    assert list(tmp_path.iterdir()) == [tmp_path / "out.zip"]


def test_a_million_answers_are_read_one_by_one(tmp_path: Path) -> None:
    alive = 0

    class Counted(dict[str, Any]):
        def __init__(self) -> None:
            nonlocal alive
            alive += 1
            assert alive <= 3
            super().__init__(answered(GREY_WARBLER))

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    write(format="darwin-core", answers=(Counted() for _ in range(100)), path=tmp_path / "out.csv")
    assert len(table(tmp_path / "out.csv")) == 100


@pytest.mark.parametrize(
    "wrong",
    [
        None, "a.jpg", {}, {"photo": 7}, {"photo": "a.jpg"}, {"photo": "a.jpg", "rank": "species"},
        {"photo": "a.jpg", "rank": "species", "taxon": "A b", "lineage": ["Animalia"]},
        {"photo": "a.jpg", "rank": "species", "taxon": "A b", "lineage": 7},
        {**answered(GREY_WARBLER), "model": "naturewatch"}, {**answered(GREY_WARBLER), "warnings": ["beware"]},
        {**answered(GREY_WARBLER), "target": "high"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["darwin-core", "timelapse"])
def test_what_is_no_answer_is_refused_in_a_sentence_and_leaves_nothing(
    tmp_path: Path,
    wrong: Any,  # noqa: ANN401
    form: str,
) -> None:
    if isinstance(wrong, dict) and wrong.get("rank") == "species" and "lineage" not in wrong:
        wrong = {**wrong, "lineage": [{"rank": "species"}]}
    with pytest.raises(ExportError) as refused:
        write(format=form, answers=[answered(GREY_WARBLER), wrong], path=tmp_path / "out.csv")
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_counted_is_written_and_one_that_was_not_said_is_not(tmp_path: Path) -> None:
    prior = {
        "case": "place", "used": True, "place": [-41.3, 174.8], "day": None, "nearest_km": 2.0, "changed": True,
        "text": "place raised Gerygone igata above Petroica australis", "occurrences": 12, "alone": {},
    }  # fmt: skip
    asked = [answered(GREY_WARBLER, prior=prior), answered(GREY_WARBLER, prior=None), answered(GREY_WARBLER)]
    placed, *others = rows_of(tmp_path, *asked, captured={"IMG_1.jpg": "2026-11-02T06:07:08"})
    assert (placed["decimalLatitude"], placed["decimalLongitude"]) == ("-41.300000", "174.800000")
    assert placed["geodeticDatum"] == "EPSG:4326"
    assert "place raised Gerygone igata above" in placed["identificationRemarks"]
    for row in others:
        assert {row[term] for term in LOCATION} == {""}
        assert row["eventDate"] == placed["eventDate"] == "2026-11-02T06:07:08"
        assert row["identificationID"] != placed["identificationID"]
