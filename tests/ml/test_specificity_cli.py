"""`naturewatch specificity` with anybody's files: .npy or Parquet, any class order, all that it offers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ml import specificity_cli
from ml.errors import DataError
from ml.foreign import read_labels, read_probabilities, read_taxonomy
from ml.foreign_classes import Classes, taxonomy_of_classes
from ml.operating import Floats, OperatingCurve
from ml.spec import RANKS
from ml.specificity import calibrate
from ml.taxonomy import Integers, Taxonomy
from tests.ml.specificity_fixtures import BIRDS, rows_of, write_taxonomy

Captured = pytest.CaptureFixture[str]
PHOTOS = 600


def _classifier() -> tuple[Floats, Integers]:
    generator = np.random.default_rng(2)
    labels = generator.integers(4, size=PHOTOS)
    logits = generator.normal(size=(PHOTOS, 4)) * 2 + 3 * np.eye(4)[labels]
    exponential = np.exp(logits)
    return exponential / exponential.sum(axis=1, keepdims=True), labels.astype(np.int32)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The same classifier as .npy, as Parquet columns and lists, and with its classes in another order."""
    rows, labels = _classifier()
    np.save(tmp_path / "p.npy", rows)
    np.save(tmp_path / "y.npy", labels)
    write_taxonomy(tmp_path / "taxonomy.parquet", rows_of(BIRDS))
    pq.write_table(pa.table({f"c{number}": rows[:, number] for number in range(4)}), tmp_path / "columns.parquet")
    pq.write_table(pa.table({"p": rows.tolist()}), tmp_path / "lists.parquet", row_group_size=100)
    stored = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 4)
    ours = pa.table({"photo_id": [str(row) for row in range(PHOTOS)], "class_id": labels, "probabilities": stored})
    pq.write_table(ours, tmp_path / "stored.parquet", row_group_size=100)
    halves = ["calibration" if row % 2 else "evaluation" for row in range(PHOTOS)]
    observations = [f"o{row // 4}" for row in range(PHOTOS)]
    pq.write_table(
        pa.table({"class_id": labels, "half": halves, "observation_id": observations}), tmp_path / "labels.parquet"
    )
    tree = Taxonomy.read(tmp_path / "taxonomy.parquet")
    shuffled = [2, 0, 3, 1]  # the foreign class of each of ours
    np.save(tmp_path / "p_shuffled.npy", rows[:, np.argsort(shuffled)].astype(np.float16))
    np.save(tmp_path / "y_shuffled.npy", np.array(shuffled)[labels])
    classes: list[dict[str, Any]] = []
    for leaf, foreign in zip(tree.leaves, shuffled, strict=True):
        names = [tree.name[node] for node in tree.lineage(int(leaf))[1:]]
        classes.append({"class_id": foreign, **dict(zip(RANKS, names, strict=True))})
    pq.write_table(pa.Table.from_pylist(classes), tmp_path / "classes.parquet")
    return tmp_path


def _run(files: Path, capsys: Captured, *more: str, p: str = "p.npy", y: str = "y.npy", t: str = "taxonomy.parquet",
         target: str = "0.9", status: int = 0) -> dict[str, Any]:  # fmt: skip
    arguments = ["--probabilities", str(files / p), "--labels", str(files / y), "--taxonomy", str(files / t)]
    assert specificity_cli.main([*arguments, "--target", target, "--json", *more]) == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_every_form_of_the_files_gives_the_same_threshold(files: Path, capsys: Captured) -> None:
    rows, labels = _classifier()
    expected = calibrate(rows, labels, Taxonomy.read(files / "taxonomy.parquet"), 0.9)
    for p in ("p.npy", "columns.parquet", "lists.parquet", "stored.parquet"):
        found = _run(files, capsys, p=p, y="stored.parquet" if p == "stored.parquet" else "y.npy")
        assert (found["threshold"], found["accuracy"], found["depth"]) == (
            expected.threshold, expected.accuracy, expected.depth
        )  # fmt: skip
        assert found["evaluation"] is None


def test_classes_in_any_order_with_their_lineages_are_enough(files: Path, capsys: Captured) -> None:
    expected = _run(files, capsys)
    found = _run(files, capsys, p="p_shuffled.npy", y="y_shuffled.npy", t="classes.parquet")
    assert found["threshold"] == pytest.approx(expected["threshold"], abs=1e-3)
    assert found["accuracy"] == pytest.approx(expected["accuracy"], abs=2 / PHOTOS)


def test_the_half_that_chose_nothing_judges(files: Path, capsys: Captured) -> None:
    found = _run(files, capsys, y="labels.parquet")
    assert found["photos"] == found["evaluation"]["photos"] == PHOTOS // 2
    assert found["evaluation"]["accuracy_low"] < 0.9 < found["evaluation"]["accuracy_high"]
    drawn = _run(files, capsys, "--holdout", "0.25")
    assert drawn["evaluation"]["photos"] == pytest.approx(PHOTOS / 4, abs=40)
    assert drawn["photos"] + drawn["evaluation"]["photos"] == PHOTOS


def test_a_guarantee_a_temperature_groups_and_a_watch_list_can_be_asked_for(files: Path, capsys: Captured) -> None:
    plain = _run(files, capsys, y="labels.parquet")
    more = ["--groups", "kingdom", "--group-photos", "10", "--watch", "Plantae > Morus", "--watch", "Dodo"]
    more += ["--temperature", "--delta", "0.1"]
    found = _run(files, capsys, *more, y="labels.parquet", target="0.8")
    assert found["temperature"] != 1
    assert [group["taxon"] for group in found["groups"]] == ["others", "Animalia", "Plantae"]
    assert found["watch"][0]["recall"] > 0.85
    assert found["watch_unknown"] == ["Dodo"]
    promised = _run(files, capsys, "--delta", "0.1", y="labels.parquet")
    assert promised["threshold"] > plain["threshold"]


def test_what_cannot_be_promised_ends_with_the_number_of_photographs(files: Path, capsys: Captured) -> None:
    arguments = ["--probabilities", str(files / "p.npy"), "--labels", str(files / "y.npy")]
    arguments += ["--taxonomy", str(files / "taxonomy.parquet"), "--target", "0.999", "--delta", "0.05"]
    assert specificity_cli.main(arguments) == 1
    assert "2995 right ones are the least" in capsys.readouterr().err


def test_the_outputs_are_those_of_the_pipeline(files: Path, capsys: Captured) -> None:
    found = _run(files, capsys, "--output", str(files / "out"), y="labels.parquet")
    assert set(found["files"]) == {
        "operating_curve.parquet", "thresholds.parquet", "by_target.parquet", "operating_points.md", "specificity.json",
        "depth_against_target.png", "accuracy_and_depth.png", "reliability.png",
    }  # fmt: skip
    curve = OperatingCurve.read(files / "out" / "operating_curve.parquet")
    assert curve.threshold[curve.choose(0.9)] == found["threshold"]
    with Image.open(files / "out" / "reliability.png") as picture:
        assert picture.format == "PNG"
    written = json.loads((files / "out" / "specificity.json").read_text(encoding="utf-8"))
    assert written["threshold"] == found["threshold"]


def test_all_methods_are_compared(files: Path, capsys: Captured) -> None:
    arguments = ["--probabilities", str(files / "p.npy"), "--labels", str(files / "labels.parquet")]
    assert specificity_cli.main([*arguments, "--taxonomy", str(files / "taxonomy.parquet"), "--target", "0.9",
                                 "--compare", "--group-photos", "20"]) == 0  # fmt: skip
    table = capsys.readouterr().out
    for method in (
        "the paper: hill climb",
        "exact, temperature |",
        "exact, per kingdom",
        "DARTS, reward information",
    ):
        assert f"| {method}" in table or f": {method}" in table


def test_means_over_many_divisions_say_more_than_one(files: Path, capsys: Captured) -> None:
    arguments = ["--probabilities", str(files / "p.npy"), "--labels", str(files / "labels.parquet")]
    arguments += ["--taxonomy", str(files / "taxonomy.parquet"), "--target", "0.9", "--group-photos", "20"]
    assert specificity_cli.main([*arguments, "--compare", "--repeats", "3"]) == 0
    table = capsys.readouterr().out
    (paper,) = [line for line in table.splitlines() if line.startswith("| the paper")]
    assert paper.count("+0.000 ± 0.000") == 3


def test_text_is_for_people(files: Path, capsys: Captured) -> None:
    arguments = ["--probabilities", str(files / "p.npy"), "--labels", str(files / "labels.parquet")]
    assert specificity_cli.main([*arguments, "--taxonomy", str(files / "taxonomy.parquet"), "--target", "0.9"]) == 0
    text = capsys.readouterr().out
    assert "held out" in text
    assert "| 95.0% |" in text


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pa.table({"a": [0.5, None], "b": [0.5, 1.0]}), "blank probabilities"),
        (pa.table({"a": ["x"], "b": ["y"]}), "the column 'a' of a class holds string, not probabilities"),
        (pa.table({"p": [[0.5, 0.5], [1.0]]}), "differ in their number"),
        (pa.table({"a": pa.array([], pa.float64()), "b": pa.array([], pa.float64())}), "no rows"),
    ],
)
def test_parquet_that_is_no_matrix_is_refused(tmp_path: Path, table: pa.Table, reason: str) -> None:
    pair = Taxonomy.of_rows(rows_of({"a": {}, "b": {}}))
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(DataError, match=reason):
        read_probabilities(tmp_path / "p.parquet", classes=Classes(taxonomy=pair), folder=tmp_path)


def test_other_files_are_refused_with_what_is_missing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="neither a taxonomy"):
        read_taxonomy(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="no column class_id; its columns are a, b"):
        read_labels(tmp_path / "t.parquet")
    pq.write_table(pa.table({"class_id": [1, None]}), tmp_path / "y.parquet")
    with pytest.raises(DataError, match="1 labels are blank"):
        read_labels(tmp_path / "y.parquet")
    pq.write_table(pa.table({"class_id": [0, 2], "species": ["a", "b"]}), tmp_path / "c.parquet")
    with pytest.raises(DataError, match="every number from 0 to 1 once"):
        read_taxonomy(tmp_path / "c.parquet")
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(DataError, match="neither .npy nor Parquet"):
        read_labels(tmp_path / "junk.parquet")


def test_blank_ranks_become_placeholders_and_twins_are_refused() -> None:
    rows: list[dict[str, Any]] = [
        {"class_id": 1, "class": None, "genus": "Gadus", "species": "Gadus morhua"},
        {"class_id": 0, "class": "Aves", "genus": "Nestor", "species": "Nestor notabilis"},
    ]
    classes = taxonomy_of_classes(rows, ranks=("class", "genus", "species"))
    tree = classes.taxonomy
    assert classes.own_numbers().tolist() == [1, 0]
    assert tree.describe(int(tree.leaves[0])) == "unplaced in Life > Gadus > Gadus morhua"
    assert tree.placeholder.tolist() == [False, True, *[False] * 5]
    with pytest.raises(DataError, match="two classes are Aves > Nestor > Nestor notabilis"):
        taxonomy_of_classes([rows[1], rows[1]], ranks=("class", "genus", "species"))
