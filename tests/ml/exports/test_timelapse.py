"""MegaDetector's batch results: what Timelapse reads, by the rules of the format."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml.exports import ExportError, ExportOptions, write
from tests.ml.exports.test_darwin_core import GREY_WARBLER, answered


def results(tmp_path: Path, answers: Iterable[dict[str, Any]], **options: Any) -> dict[str, Any]:  # noqa: ANN401
    write(
        format="timelapse", answers=answers, path=tmp_path / "out.json",
        options=ExportOptions(identified=datetime(2026, 11, 26, tzinfo=UTC), **options),
    )  # fmt: skip
    return valid(json.loads((tmp_path / "out.json").read_text(encoding="utf-8")))


def valid(results: dict[str, Any]) -> dict[str, Any]:
    """Hold results against every rule of https://lila.science/megadetector-output-format."""
    assert {"info", "detection_categories", "images"} <= set(results)
    assert float(results["info"]["format_version"]) == 1.5
    kinds, taxa = results["detection_categories"], results["classification_categories"]
    assert set(results["classification_category_descriptions"]) == set(taxa)
    for names in (kinds, taxa):
        assert all(number.isdigit() and isinstance(name, str) and name for number, name in names.items())
    assert kinds["1"] == "animal"
    for image in results["images"]:
        assert "\\" not in image["file"]
        if image.get("failure") is not None:
            assert isinstance(image["failure"], str)
            assert image["detections"] is None
            continue
        for detection in image["detections"]:
            assert detection["category"] in kinds
            assert isinstance(detection["conf"], float)
            assert 0 <= detection["conf"] <= 1
            left, upper, width, height = detection["bbox"]
            assert min(left, upper) >= 0
            assert max(left + width, upper + height) <= 1 + 1e-9
            found = detection.get("classifications", [])
            assert all(number in taxa and 0 <= probability <= 1 for number, probability in found)
            assert found == sorted(found, key=lambda each: -each[1])
    return results


def test_an_answer_is_one_detection_with_one_classification(tmp_path: Path) -> None:
    written = results(tmp_path, [answered(GREY_WARBLER, photo="cam 1/IMG_1.jpg")])
    assert written["info"] == {
        "format_version": "1.5",
        "classifier": "NatureWatch naturewatch version 12",
        "classification_completion_time": "2026-11-26 00:00:00",
    }
    assert written["images"] == [
        {
            "file": "cam 1/IMG_1.jpg",
            "detections": [
                {"category": "1", "conf": 0.97, "bbox": [0.0, 0.0, 1.0, 1.0], "classifications": [["1", 0.85]]}
            ],
        }
    ]
    assert written["classification_categories"] == {"1": "Gerygone igata"}
    assert written["classification_category_descriptions"] == {
        "1": "animalia;chordata;aves;passeriformes;acanthizidae;gerygone;gerygone igata"
    }


def test_people_plants_fungi_and_others_are_no_animals(tmp_path: Path) -> None:
    person = ["Animalia", "Chordata", "Mammalia", "Primates", "Hominidae", "Homo", "Homo sapiens"]
    kinds = [["Animalia"], person, ["Plantae"], ["Fungi"], ["Chromista"], []]
    written = results(tmp_path, (answered(names, photo=f"{at}.jpg") for at, names in enumerate(kinds)))
    named = [written["detection_categories"][image["detections"][0]["category"]] for image in written["images"]]
    assert named == ["animal", "person", "plant", "fungus", "other organism", "other organism"]
    assert "classifications" not in written["images"][-1]["detections"][0]


def test_a_taxon_is_one_category_however_often_and_two_genera_of_one_name_are_two(tmp_path: Path) -> None:
    mulberry = ["Plantae", "Tracheophyta", "Magnoliopsida", "Rosales", "Moraceae", "Morus"]
    gannet = ["Animalia", "Chordata", "Aves", "Suliformes", "Sulidae", "Morus"]
    written = results(tmp_path, [answered(mulberry), answered(gannet), answered(mulberry)])
    assert written["classification_categories"] == {"1": "Morus", "2": "Morus"}
    assert [image["detections"][0]["classifications"][0][0] for image in written["images"]] == ["1", "2", "1"]


def test_the_region_of_interest_is_the_box(tmp_path: Path) -> None:
    own = answered(GREY_WARBLER, region=[0.1, 0.2, 0.4, 0.8])
    written = results(tmp_path, [own, answered(GREY_WARBLER)], region=(0.5, 0.5, 1, 1))
    boxes = [image["detections"][0]["bbox"] for image in written["images"]]
    assert boxes == [[0.1, 0.2, 0.3, 0.6], [0.5, 0.5, 0.5, 0.5]]


def test_a_photograph_that_failed_has_a_failure_and_no_detections(tmp_path: Path) -> None:
    written = results(tmp_path, [{"photo": "a.jpg", "error": "the file is empty"}])
    assert written["images"] == [{"file": "a.jpg", "failure": "the file is empty", "detections": None}]
    assert results(tmp_path, [])["images"] == []


def test_each_photograph_of_an_organism_gets_its_answer(tmp_path: Path) -> None:
    written = results(tmp_path, [answered(GREY_WARBLER, photo="bird", photos=["a.jpg", "b.jpg"])])
    assert [image["file"] for image in written["images"]] == ["a.jpg", "b.jpg"]
    assert written["images"][0]["detections"] == written["images"][1]["detections"]


def test_paths_are_those_below_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos" / "cam 1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    names = [str(tmp_path / "photos" / "cam 1" / "a.jpg"), "photos/b.jpg", "photos/cam 1/../c.jpg"]
    written = results(tmp_path, [answered(GREY_WARBLER, photo=name) for name in names], base=tmp_path / "photos")
    assert [image["file"] for image in written["images"]] == ["cam 1/a.jpg", "b.jpg", "c.jpg"]
    with pytest.raises(ExportError, match="is not below"):
        results(tmp_path, [answered(GREY_WARBLER, photo="elsewhere/a.jpg")], base=tmp_path / "photos")
    for name in ("/etc/a.jpg", "../a.jpg"):
        with pytest.raises(ExportError, match="name that folder as the base"):
            results(tmp_path, [answered(GREY_WARBLER, photo=name)])
