"""`naturewatch place-prior`: what it writes and prints, and that nothing informs itself or changes without a place."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.classifiers.composed_photographs import lessons
from ml.classifiers.gains import losses
from ml.classifiers.place_prior_cli import main
from ml.classifiers.place_tables import read_places
from ml.taxonomy import Floats
from tests.ml.classifiers.place_world import SPECIES, arguments, drawn, write_files, write_table

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return write_files(tmp_path)


def composed(files: Path, capsys: Captured, **others: str) -> tuple[dict[str, Any], Floats]:
    assert main([*arguments(files, **others), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out), np.load(files / "composed.npy")


def refused(files: Path, capsys: Captured, **others: str) -> str:
    """The one line on standard error; nothing was written."""
    assert main(arguments(files, **others)) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert not (files / "composed.npy").exists()
    return said.err


def test_places_and_seasons_tell_look_alikes_apart(files: Path, capsys: Captured) -> None:
    found, rows = composed(files, capsys)
    assert found["alone"]["accuracy"] == pytest.approx(0.6, abs=0.1)
    assert found["composed"]["accuracy"] > 0.85
    assert found["gain"]["accuracy"]["low"] > 0.2
    assert found["gain"]["log_loss"]["high"] < -0.4
    assert found["chosen"]
    assert found["settings"]["exponent"] > 0
    assert found["photographs"] == {
        "rows": 200, "problems": {}, "first_problems": {}, "species_of_no_class": {}, "place_and_date": 200, "place": 0,
        "no_place": 0, "far": 0, "measured": 200, "also_calibration": 0,
    }  # fmt: skip
    labels = drawn(50, seed=3).labels
    assert (rows.argmax(axis=1) == labels).mean() == found["composed"]["accuracy"]
    assert np.allclose(rows.sum(axis=1), 1)


def test_text_says_the_same(files: Path, capsys: Captured) -> None:
    found, _ = composed(files, capsys)
    assert main(arguments(files)) == 0
    text = capsys.readouterr().out
    assert "occurrences  320 of 320 teach 4 of 4 species" in text
    assert "chosen by 200 calibration photographs" in text
    gain = found["gain"]["accuracy"]
    assert f"{gain['value'] * 100:+.1f} [{gain['low'] * 100:+.1f}, {gain['high'] * 100:+.1f}] points" in text


def test_the_same_files_give_the_same_bytes(files: Path, capsys: Captured) -> None:
    composed(files, capsys)
    first = (files / "composed.npy").read_bytes()
    composed(files, capsys)
    assert (files / "composed.npy").read_bytes() == first


def test_species_of_the_photographs_need_not_be_known(files: Path, capsys: Captured) -> None:
    _, expected = composed(files, capsys)
    rows = [{name: value for name, value in row.items() if name != "species"} for row in drawn(50, seed=3).rows]
    write_table(files / "photographs.csv", rows)
    found, written = composed(files, capsys)
    assert (found["alone"], found["composed"], found["gain"]) == (None, None, None)
    assert np.array_equal(written, expected)
    assert main(arguments(files)) == 0
    assert "not measured: the photographs' species are not given" in capsys.readouterr().out


def test_photographs_without_a_usable_place_stay_as_they_were(files: Path, capsys: Captured) -> None:
    rows = drawn(50, seed=3).rows
    rows[0] |= {"latitude": "", "longitude": ""}
    rows[1] |= {"latitude": "174.8", "longitude": "-36.8"}
    rows[2] |= {"latitude": "NaN", "longitude": "NaN"}
    rows[3] |= {"latitude": "0", "longitude": "0"}
    rows[4] |= {"latitude": "60.2", "longitude": "24.9"}
    rows[5] |= {"day_of_year": ""}
    rows[6] |= {"day_of_year": "400"}
    write_table(files / "photographs.csv", rows)
    found, written = composed(files, capsys)
    facts = found["photographs"]
    assert (facts["no_place"], facts["far"], facts["place"], facts["place_and_date"]) == (4, 1, 2, 193)
    assert facts["problems"] == {"no_place": 2, "bad_place": 2, "no_day": 1, "bad_date": 1}
    assert "line 3: the latitude 174.8 is not between -90 and 90; did you mean" in facts["first_problems"]["bad_place"]
    given = np.load(files / "P.npy")
    assert np.array_equal(written[:5], given[:5])
    assert not np.any(np.all(written[5:] == given[5:], axis=1))
    assert main(arguments(files)) == 0
    text = capsys.readouterr().out
    assert "left alone   4 without a usable place, 1 far from every occurrence" in text
    assert "photographs.csv: 2 rows with bad place (line 3: the latitude 174.8" in text


def test_a_photograph_among_the_occurrences_does_not_inform_itself(files: Path, capsys: Captured) -> None:
    _, expected = composed(files, capsys)
    own = drawn(50, seed=3).rows
    # Were they to count, each photograph's nearest neighbour would say what it is.
    liars = [row | {"species": SPECIES[(SPECIES.index(row["species"]) ^ 1)]} for row in own]
    write_table(files / "train.csv", drawn(80, seed=1).rows + liars + drawn(50, seed=2).rows)
    found, written = composed(files, capsys)
    assert found["occurrences"]["left_out"] == {"no_class": 0, "no_place": 0, "repeated": 0, "asked_about": 400}
    assert np.array_equal(written, expected)


def test_it_is_said_where_photographs_judge_what_they_chose(files: Path, capsys: Captured) -> None:
    found, _ = composed(files, capsys, photographs="calibration.csv", probabilities="C.npy")
    assert found["photographs"]["also_calibration"] == 200
    assert main(arguments(files, photographs="calibration.csv", probabilities="C.npy")) == 0
    assert "200 photographs have chosen the parameters, too" in capsys.readouterr().out


def test_the_temperature_is_the_best_for_what_is_composed(files: Path, capsys: Captured) -> None:
    found, written = composed(files, capsys, photographs="calibration.csv", probabilities="C.npy")
    labels, best = drawn(50, seed=2).labels, found["temperature"]["composed"]
    at = {factor: losses(written, labels, np.full(200, best * factor)).mean() for factor in (0.9, 1.0, 1.1)}
    assert at[1.0] == pytest.approx(found["composed"]["log_loss"])
    assert at[1.0] < min(at[0.9], at[1.1])
    alone = {
        factor: losses(np.load(files / "C.npy"), labels, np.full(200, found["temperature"]["alone"] * factor)).mean()
        for factor in (0.9, 1.0, 1.1)
    }
    assert alone[1.0] == pytest.approx(found["alone"]["log_loss"])
    assert alone[1.0] < min(alone[0.9], alone[1.1])


def test_occurrences_teach_all_that_their_rows_say(files: Path) -> None:
    rows = drawn(80, seed=1).rows[78:82]
    facts = [("28000", "60"), ("", ""), ("12.5", "366"), ("0", "1")]
    rows = [
        row | {"coordinate_uncertainty_m": metres, "day_of_year": day}
        for row, (metres, day) in zip(rows, facts, strict=True)
    ]
    write_table(files / "train.csv", rows)
    learnt = lessons(read_places(files / "train.csv", list(SPECIES), labelled=True), apart_from=set())
    assert learnt.records.uncertainty_m == pytest.approx([28000, np.nan, 12.5, np.nan], nan_ok=True)
    assert learnt.records.day.tolist() == [60, 0, 366, 1]
    assert learnt.records.class_id.tolist() == [0, 0, 1, 1]
    assert learnt.records.latitude == pytest.approx([float(row["latitude"]) for row in rows])
    assert learnt.records.longitude == pytest.approx([float(row["longitude"]) for row in rows])
    assert (learnt.undated, learnt.classes) == (1, 2)


def test_broken_occurrences_are_counted_and_the_others_teach(files: Path, capsys: Captured) -> None:
    _, expected = composed(files, capsys)
    rows = drawn(80, seed=1).rows
    broken = [
        {"gbif_id": "a", "latitude": "nan", "longitude": "nan"},
        {"gbif_id": "b", "latitude": "north", "longitude": "1"},
        {"gbif_id": "c", "latitude": "inf", "longitude": "1"},
        {"gbif_id": "d", "latitude": "0.0", "longitude": "0"},
        {"gbif_id": "e", "species": "Canis lupus"},
        {"gbif_id": "f", "species": ""},
    ]
    write_table(files / "train.csv", [*rows, *(rows[0] | change for change in broken), *rows[:7]])
    found, written = composed(files, capsys)
    facts = found["occurrences"]
    assert facts["left_out"] == {"no_class": 2, "no_place": 4, "repeated": 7, "asked_about": 0}
    assert facts["used"] + sum(facts["left_out"].values()) == facts["rows"] == 333
    assert facts["problems"] == {"no_place": 1, "bad_place": 3}
    assert facts["species_of_no_class"] == {"Canis lupus": 1}
    assert np.array_equal(written, expected)


def test_too_few_calibration_photographs_leave_the_usual_parameters(files: Path, capsys: Captured) -> None:
    write_table(files / "few.csv", drawn(5, seed=2).rows)
    np.save(files / "few.npy", drawn(5, seed=2).probabilities)
    found, _ = composed(files, capsys, calibration="few.csv", calibration_probabilities="few.npy")
    assert not found["chosen"]
    assert found["composed"]["accuracy"] > 0.9
    assert main(arguments(files, calibration="few.csv", calibration_probabilities="few.npy")) == 0
    assert "the usual ones: 20 calibration photographs with a known place cannot choose" in capsys.readouterr().out


def test_places_that_say_nothing_change_nothing(files: Path, capsys: Captured) -> None:
    generator = np.random.default_rng(5)
    tables = {
        "train.csv": drawn(80, seed=1),
        "calibration.csv": drawn(50, seed=2),
        "photographs.csv": drawn(50, seed=3),
    }
    for name, some in tables.items():
        order = generator.permutation(len(some.rows))
        places = [some.rows[row] for row in order]
        kept = ("latitude", "longitude", "day_of_year")
        rows = [row | {key: place[key] for key in kept} for row, place in zip(some.rows, places, strict=True)]
        write_table(files / name, rows)
    found, written = composed(files, capsys)
    assert found["settings"]["exponent"] == 0
    assert np.array_equal(written, np.load(files / "P.npy"))
    assert found["gain"]["accuracy"] == {"value": 0, "low": 0, "high": 0}
    assert found["temperature"]["alone"] == found["temperature"]["composed"]
    assert main(arguments(files)) == 0
    assert "nothing was changed" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f4"])
def test_numbers_of_every_size_are_read(files: Path, capsys: Captured, kind: str) -> None:
    _, expected = composed(files, capsys)
    for name in ("C.npy", "P.npy"):
        np.save(files / name, np.load(files / name).astype(kind))
    _, written = composed(files, capsys)
    assert written.dtype == (np.float64 if kind == "float64" else np.float32)
    assert np.allclose(written, expected, atol=0.02)


def test_parquet_with_a_column_a_species_is_read_in_any_order(files: Path, capsys: Captured) -> None:
    _, expected = composed(files, capsys)
    for name in ("C", "P"):
        rows = np.load(files / f"{name}.npy")
        columns = {SPECIES[number]: rows[:, number] for number in (2, 0, 3, 1)}
        pq.write_table(pa.table(columns), files / f"{name}.parquet")
    _, written = composed(files, capsys, calibration_probabilities="C.parquet", probabilities="P.parquet")
    assert np.array_equal(written, expected)


def test_probabilities_that_are_none_are_refused(files: Path, capsys: Captured) -> None:
    given = np.load(files / "P.npy")
    for array, said in (
        (np.log(given), "apply softmax to a network's outputs first"),
        (given * 100, "divide percentages by 100"),
        (np.where(given > 0.5, np.nan, given), "NaN"),
        (given[:-1], "has 199 rows, but"),
        (given[:, :3], "must have the shape photographs x 4 classes"),
        (given[0], "must have the shape"),
        (given.astype(str), "not probabilities"),
        (np.zeros((0, 4)), "has no rows"),
    ):
        np.save(files / "bad.npy", array)
        assert said in refused(files, capsys, probabilities="bad.npy")
        assert "bad.npy" in refused(files, capsys, calibration_probabilities="bad.npy")
    (files / "bad.npy").write_bytes(b"")
    assert "is empty" in refused(files, capsys, probabilities="bad.npy")


def test_calibration_photographs_need_a_species_of_the_classes(files: Path, capsys: Captured) -> None:
    rows = drawn(50, seed=2).rows
    write_table(files / "bad.csv", [rows[0] | {"species": "Amanita borealiss"}, *rows[1:]])
    assert "classes.txt does not have: 'Amanita borealiss' (1)" in refused(files, capsys, calibration="bad.csv")
    write_table(files / "bad.csv", [rows[0] | {"species": ""}, *rows[1:]])
    assert "1 rows have no species" in refused(files, capsys, calibration="bad.csv")


def test_occurrences_that_teach_nothing_are_refused(files: Path, capsys: Captured) -> None:
    rows = drawn(80, seed=1).rows
    write_table(files / "bad.csv", [row | {"species": "Canis lupus"} for row in rows])
    assert "(no class 320; species that are no class: 'Canis lupus' (320))" in refused(
        files, capsys, occurrences="bad.csv"
    )
    write_table(files / "bad.csv", [rows[0], rows[0] | {"species": SPECIES[2]}])
    assert "the gbif_id '100000' is of two species" in refused(files, capsys, occurrences="bad.csv")


def test_the_output_is_complete_or_absent(files: Path, capsys: Captured) -> None:
    broken = np.load(files / "P.npy")
    broken[-1] = 0
    np.save(files / "bad.npy", broken)
    (files / "composed.npy").write_bytes(b"before")
    assert main(arguments(files, probabilities="bad.npy")) == 1
    assert "bad.npy: row 199 is not a probability distribution: all its values are 0" in capsys.readouterr().err
    assert (files / "composed.npy").read_bytes() == b"before"
    assert sorted(path.name for path in files.iterdir() if path.name.startswith(".")) == []
    (files / "folder.npy").mkdir()
    assert main(arguments(files, output="folder.npy")) == 1
    assert "is a folder; name the file to write" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(arguments(files, output="composed.csv"))
    assert ended.value.code == 2
    assert "must be a file that ends in .npy" in capsys.readouterr().err


def test_the_output_may_replace_the_probabilities(files: Path, capsys: Captured) -> None:
    _, expected = composed(files, capsys)
    assert main(arguments(files, output="P.npy")) == 0
    assert np.array_equal(np.load(files / "P.npy"), expected)


def test_naturewatch_hands_the_command_over(files: Path) -> None:
    script = Path(sys.executable).parent / "naturewatch"
    done = subprocess.run(
        [script, "place-prior", *arguments(files), "--json"],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["output"] == str(files / "composed.npy")


def test_real_photographs_gain_from_real_occurrences(shared: Path, tmp_path: Path, capsys: Captured) -> None:
    if not (shared / "places").is_dir():
        pytest.skip(f"there are no places in {shared}")
    halves = write_shared(shared / "places", tmp_path)
    for chooses, judges in (halves, halves[::-1]):
        found, _ = composed(
            tmp_path, capsys, calibration=f"{chooses}.csv", calibration_probabilities=f"{chooses}.npy",
            photographs=f"{judges}.csv", probabilities=f"{judges}.npy",
        )  # fmt: skip
        assert found["photographs"]["place_and_date"] == found["photographs"]["measured"] == 330
        assert found["gain"]["accuracy"]["value"] >= 0.04
        assert found["gain"]["accuracy"]["low"] > 0
        assert found["gain"]["log_loss"]["value"] <= -0.25


def write_shared(places: Path, folder: Path) -> tuple[str, str]:
    """Divide the real validation photographs into two halves, with their logits as probabilities."""
    with (places / "occurrences.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (places / "validation.csv").open(encoding="utf-8", newline="") as stream:
        order = [row["gbif_id"] for row in csv.DictReader(stream)]
    write_table(folder / "train.csv", [row for row in rows if row["side"] == "train"])
    validation = {row["gbif_id"]: row for row in rows if row["side"] == "validation"}
    logits = np.load(places / "validation_logits.npy").astype(np.float64)
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponential / exponential.sum(axis=1, keepdims=True)
    for half, name in enumerate(("even", "odd")):
        write_table(folder / f"{name}.csv", [validation[identifier] for identifier in order[half::2]])
        np.save(folder / f"{name}.npy", probabilities[half::2])
    (folder / "classes.txt").write_bytes((places / "classes.txt").read_bytes())
    return "even", "odd"
