"""Camtrap DP 1.0.2: frictionless finds no fault with it, and nothing in it is made up."""

import csv
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from frictionless import Package

from ml.exports import ExportError, ExportOptions, options_of_file, write
from ml.exports.camtrap_tables import DEPLOYMENTS, MEDIA, OBSERVATIONS
from tests.ml.exports import camtrap_schemas
from tests.ml.exports.test_darwin_core import GREY_WARBLER, answered
from tests.ml.images.test_capture_time import dated

TABLES = ("deployments", "media", "observations")
PERSON = ["Animalia", "Chordata", "Mammalia", "Primates", "Hominidae", "Homo", "Homo sapiens"]
METADATA: dict[str, Any] = {
    "title": "Birds of the valley",
    "contributors": [{"title": "A. Ngata", "role": "contact"}],
    "project": {"title": "Valley", "samplingDesign": "targeted", "captureMethod": ["activityDetection"]},
}
ROW: dict[str, Any] = {
    "deploymentID": "cam 1", "latitude": "-41.29", "longitude": "174.78",
    "deploymentStart": "2026-11-01T00:00:00+13:00", "deploymentEnd": "2026-11-30T00:00:00+13:00",
}  # fmt: skip
TIMES = {"IMG_1.jpg": "2026-11-02T06:07:08"}


def options(**more: Any) -> ExportOptions:  # noqa: ANN401
    given: dict[str, Any] = {
        "metadata": METADATA, "deployments": [ROW], "captured": TIMES, "timezone": "+13:00",
        "identified": datetime(2026, 11, 26, 9, 30, tzinfo=UTC), **more,
    }  # fmt: skip
    return ExportOptions(**given)


def exported(folder: Path, *answers: dict[str, Any], **more: Any) -> dict[str, list[dict[str, str]]]:  # noqa: ANN401
    """Write a package, have frictionless validate it, and return its tables."""
    write(format="camtrap-dp", answers=answers, path=folder, options=options(**more))
    assert faults(folder) == []
    return {
        name: list(csv.DictReader(io.StringIO((folder / f"{name}.csv").read_text(encoding="utf-8"))))
        for name in (*TABLES, "unanswered")
    }


def faults(folder: Path) -> list[str]:
    """What frictionless, with the standard's schemas in place of their addresses, and the profile complain of."""
    descriptor = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    jsonschema.validate(descriptor, camtrap_schemas.PROFILE, format_checker=jsonschema.FormatChecker())
    home = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2/"
    assert descriptor.pop("profile") == f"{home}camtrap-dp-profile.json"
    for resource in descriptor["resources"][:3]:
        assert resource["schema"] == f"{home}{resource['name']}-table-schema.json"
        resource["schema"] = camtrap_schemas.table_schema(resource["name"])
    report = Package.from_descriptor(descriptor, basepath=str(folder)).validate()
    return [error.message for task in report.tasks for error in task.errors] + [each.message for each in report.errors]


def test_the_columns_are_the_standard_s_in_its_order() -> None:
    assert tuple(camtrap_schemas.DEPLOYMENTS) == DEPLOYMENTS
    assert tuple(camtrap_schemas.MEDIA) == MEDIA
    assert tuple(camtrap_schemas.OBSERVATIONS) == OBSERVATIONS


def test_the_validator_finds_faults(tmp_path: Path) -> None:
    exported(tmp_path / "out", answered(GREY_WARBLER))
    table = tmp_path / "out" / "observations.csv"
    text = table.read_text()
    for old, new in ((",animal,", ",bird,"), (",0.85,", ",1.85,"), ("cam 1", "cam 2"), ("2026-11-02T", "2026-13-02T")):
        assert old in text
        table.write_text(text.replace(old, new))
        assert faults(tmp_path / "out") != [], old
    table.write_text(text)
    assert faults(tmp_path / "out") == []


def test_an_animal_is_one_observation_with_its_calibrated_probability(tmp_path: Path) -> None:
    tables = exported(tmp_path / "out", answered(GREY_WARBLER, region=[0.25, 0.5, 0.75, 1.0]))
    (medium,), (observation,) = tables["media"], tables["observations"]
    assert medium == {
        **dict.fromkeys(MEDIA, ""), "mediaID": medium["mediaID"], "deploymentID": "cam 1",
        "timestamp": "2026-11-02T06:07:08+13:00", "filePath": "IMG_1.jpg", "filePublic": "false",
        "fileName": "IMG_1.jpg", "fileMediatype": "image/jpeg",
    }  # fmt: skip
    assert observation == {
        **dict.fromkeys(OBSERVATIONS, ""), "observationID": observation["observationID"], "deploymentID": "cam 1",
        "mediaID": medium["mediaID"], "eventStart": medium["timestamp"], "eventEnd": medium["timestamp"],
        "observationLevel": "media", "observationType": "animal", "scientificName": "Gerygone igata",
        "bboxX": "0.25", "bboxY": "0.5", "bboxWidth": "0.5", "bboxHeight": "0.5", "classificationMethod": "machine",
        "classifiedBy": "NatureWatch naturewatch version 12 (models:/naturewatch/12)",
        "classificationTimestamp": "2026-11-26T09:30:00+00:00", "classificationProbability": "0.85",
        "observationTags": "taxonRank:species | kingdom:Animalia",
        "observationComments": "machine identification, not checked by a person; probability 0.8500; target accuracy "
        "0.95; right 19 times in 20 at this setting",
    }  # fmt: skip


def test_what_the_standard_has_no_type_for_is_unknown_and_keeps_its_name(tmp_path: Path) -> None:
    kinds = [["Animalia"], PERSON, ["Plantae", "Tracheophyta"], []]
    names = [f"{number}.jpg" for number in range(len(kinds))]
    answers = [answered(kind, photo=name) for kind, name in zip(kinds, names, strict=True)]
    answers.append({"photo": "4.jpg", "error": "the file is empty"})
    times = dict.fromkeys([*names, "4.jpg"], "2026-11-02T06:07:08Z")
    tables = exported(tmp_path / "out", *answers, captured=times)
    found = [
        (row["observationType"], row["scientificName"], row["classificationMethod"]) for row in tables["observations"]
    ]
    assert found == [
        ("animal", "Animalia", "machine"), ("human", "Homo sapiens", "machine"), ("unknown", "Tracheophyta", "machine"),
        ("unknown", "", "machine"), ("unclassified", "", ""),
    ]  # fmt: skip
    assert [row["filePath"] for row in tables["unanswered"]] == ["3.jpg", "4.jpg"]
    assert tables["media"][4]["mediaComments"] == "the file is empty"


def test_a_photograph_that_failed_and_has_no_date_stands_among_the_unanswered(tmp_path: Path) -> None:
    tables = exported(tmp_path / "out", answered(GREY_WARBLER), {"photo": "lost.jpg", "error": "there is no such file"})
    assert [row["filePath"] for row in tables["media"]] == ["IMG_1.jpg"]
    assert tables["unanswered"] == [{"filePath": "lost.jpg", "reason": "there is no such file"}]


def test_the_description_says_what_is_known_and_what_the_person_said(tmp_path: Path) -> None:
    second = {**ROW, "deploymentID": "cam 2", "longitude": 175, "deploymentEnd": "2026-12-24T00:00:00+13:00"}
    answer = answered(GREY_WARBLER, photo="cam 2/a.jpg")
    tables = exported(
        tmp_path / "out", answer, deployments=[ROW, second], captured={"cam 2/a.jpg": "2026-11-03T00:00:00Z"}
    )
    assert tables["media"][0]["deploymentID"] == "cam 2"
    described = json.loads((tmp_path / "out" / "datapackage.json").read_text(encoding="utf-8"))
    assert (described["title"], described["contributors"]) == (METADATA["title"], METADATA["contributors"])
    assert described["project"] == {**METADATA["project"], "individualAnimals": False, "observationLevel": ["media"]}
    assert described["spatial"] == {"type": "MultiPoint", "coordinates": [[174.78, -41.29], [175.0, -41.29]]}
    assert described["temporal"] == {"start": "2026-11-01", "end": "2026-12-24"}
    (taxon,) = described["taxonomic"]
    assert taxon == {
        "scientificName": "Gerygone igata", "taxonID": "https://www.gbif.org/species/107", "taxonRank": "species",
        "kingdom": "Animalia", "phylum": "Chordata", "class": "Aves", "order": "Passeriformes",
        "family": "Acanthizidae", "genus": "Gerygone",
    }  # fmt: skip


def test_photographs_of_one_organism_share_an_event_and_repeated_ones_a_medium(tmp_path: Path) -> None:
    times = {"a.jpg": "2026-11-02T00:00:00Z", "b.jpg": "2026-11-02T00:00:09Z"}
    bird = answered(GREY_WARBLER, photo="bird 7", photos=["a.jpg", "b.jpg"])
    tables = exported(tmp_path / "out", bird, answered(GREY_WARBLER, photo="a.jpg"), bird, captured=times)
    assert [row["filePath"] for row in tables["media"]] == ["a.jpg", "b.jpg"]
    assert [row["eventID"] for row in tables["observations"]] == ["bird 7", "bird 7", "", "bird 7", "bird 7"]


def test_the_camera_says_when_a_photograph_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    for name, offset in (("a.jpg", None), ("b.jpg", "+02:00")):
        (tmp_path / "photos" / name).write_bytes(dated("JPEG", "2026:11:02 06:07:08", offset))
    monkeypatch.chdir(tmp_path)
    answers = [answered(GREY_WARBLER, photo=f"photos/{name}.jpg") for name in "ab"]
    tables = exported(tmp_path / "out", *answers, captured={}, base=tmp_path / "photos")
    assert [(row["filePath"], row["timestamp"]) for row in tables["media"]] == [
        ("a.jpg", "2026-11-02T06:07:08+13:00"), ("b.jpg", "2026-11-02T06:07:08+02:00"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ({"deployments": []}, "where the cameras stood"),
        ({"deployments": [{"deploymentID": "cam 1"}]}, "row 1 of the deployments lacks latitude, longitude, deploy"),
        ({"deployments": [{**ROW, "latitude": "41 S"}]}, "decimal degrees from -90 to 90, not '41 S'"),
        ({"deployments": [{**ROW, "longitude": 374}]}, "decimal degrees from -180 to 180"),
        ({"deployments": [{**ROW, "deploymentStart": "2026-11-01"}]}, "with its offset from UTC"),
        ({"deployments": [{**ROW, "deploymentEnd": "2025-11-01T00:00:00Z"}]}, "ends before it starts"),
        ({"deployments": [{**ROW, "lattitude": 4}]}, "does not know: 'lattitude'"),
        ({"deployments": [{**ROW, "cameraTilt": "down"}]}, "cameraTilt must be a number from -90 to 90, not 'down'"),
        ({"deployments": [{**ROW, "cameraDelay": "1.5"}]}, "cameraDelay must be a number"),
        ({"deployments": [{**ROW, "baitUse": "fish"}]}, "baitUse must be true or false"),
        ({"deployments": [{**ROW, "featureType": "road"}]}, "featureType must be one of roadPaved, "),
        ({"metadata": {**METADATA, "contributors": [{"title": "me", "role": "boss"}]}}, "one of contact, "),
        ({"metadata": {**METADATA, "licenses": [{"name": "CC0-1.0"}]}}, "scope data and one with the scope media"),
        ({"metadata": {**METADATA, "version": float("nan")}}, "cannot be written as JSON"),
        ({"deployments": [ROW, ROW]}, "two deployments are called cam 1"),
        ({"deployments": [ROW, {**ROW, "deploymentID": "cam 2"}]}, "to which deployment belongs IMG_1.jpg"),
        ({"metadata": {}}, "only you know: contributors, project.title, project.samplingDesign, project.captureMethod"),
        ({"metadata": {**METADATA, "contributors": ["me"]}}, "only you know: contributors"),
        ({"metadata": {**METADATA, "project": {**METADATA["project"], "samplingDesign": "random"}}}, "one of simpleR"),
        ({"metadata": {**METADATA, "project": {**METADATA["project"], "captureMethod": "timeLapse"}}}, "a list of"),
        ({"captured": {}}, "when was IMG_1.jpg taken"),
        ({"captured": {"IMG_1.jpg": "2026-11-02"}}, "no date and time in ISO 8601"),
        ({"captured": {"IMG_1.jpg": "yesterday"}}, "no date and time in ISO 8601"),
        ({"timezone": None}, r"timezone is unknown: give the offset, as in \+12:00"),
    ],
)
def test_what_the_standard_demands_and_nobody_said_is_asked_for(
    tmp_path: Path, more: dict[str, Any], asked: str
) -> None:
    with pytest.raises(ExportError, match=asked) as refused:
        write(format="camtrap-dp", answers=[answered(GREY_WARBLER)], path=tmp_path / "out", options=options(**more))
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_package_is_a_zip_or_a_folder_that_replaces_an_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    exported(tmp_path / "out", answered(GREY_WARBLER))
    tables = exported(tmp_path / "out", answered(GREY_WARBLER[:5]))
    assert [row["scientificName"] for row in tables["observations"]] == ["Acanthizidae"]
    answers = [answered(GREY_WARBLER)]
    write(format="camtrap-dp", answers=answers, path=tmp_path / "out.zip", options=options())
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert set(archive.namelist()) == {"datapackage.json", "unanswered.csv", *(f"{name}.csv" for name in TABLES)}
        archive.extractall(tmp_path / "unpacked")
    assert faults(tmp_path / "unpacked") == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose")
    with pytest.raises(ExportError, match="holds something else"):
        write(format="camtrap-dp", answers=answers, path=tmp_path / "mine", options=options())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out", "out.zip", "unpacked"]


def test_options_come_from_a_file_beside_a_spreadsheet(tmp_path: Path) -> None:
    table = "\ufeff" + ";".join(ROW) + "\r\n" + ";".join(str(value) for value in ROW.values()) + "\r\n"
    (tmp_path / "cameras.csv").write_text(table, encoding="utf-8")
    (tmp_path / "options.json").write_text(json.dumps({"deployments": "cameras.csv", "metadata": METADATA}))
    assert options_of_file(tmp_path / "options.json").deployments == [ROW]
    for text, complaint in (
        ('{"deployments": "none.csv"}', "cannot read .*none.csv"), ("{", "cannot read the options"),
        ('{"deployment": []}', "no option .* 'deployment'; known are base, "), ("[]", "must be an object"),
        ('{"captured": {"a.jpg": 7}}', "from photographs to texts"), ('{"timezone": "NZDT"}', "an offset from UTC"),
        ('{"region": [0, 0, 2, 1]}', "as fractions"), ('{"identified": "2026-11-26T09:30:00"}', "its offset from UTC"),
        ('{"identified": "today"}', "ISO 8601"), ('{"deployments": "short.csv"}', "longer or shorter"),
    ):  # fmt: skip
        (tmp_path / "short.csv").write_text("deploymentID,latitude\ncam 1\n")
        (tmp_path / "wrong.json").write_text(text)
        with pytest.raises(ExportError, match=complaint):
            options_of_file(tmp_path / "wrong.json")
    with pytest.raises(ExportError, match="no export is called 'excel'; known are darwin-core, camtrap-dp, timelapse"):
        write(format="excel", answers=[], path=tmp_path / "out")
