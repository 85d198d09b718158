"""`naturewatch specificity`: every form of the files, all that it offers, what it refuses, and how it ends."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ml.classifiers import cli as specificity_cli
from ml.spec import RANKS, Rule
from ml.specificity import calibrate
from ml.specificity.operating_points import OperatingCurve
from ml.specificity.thresholds import ThresholdTable
from ml.taxonomy import Floats, Integers, Taxonomy
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


@pytest.mark.parametrize("rule", ["reward", "distance"])
def test_rules_can_be_asked_for(files: Path, capsys: Captured, rule: Rule) -> None:
    rows, labels = _classifier()
    expected = calibrate(rows, labels, Taxonomy.read(files / "taxonomy.parquet"), 0.9, rule=rule)
    found = _run(files, capsys, "--rule", rule, "--output", str(files / "out"))
    assert (found["rule"], found["threshold"], found["depth"]) == (rule, expected.threshold, expected.depth)
    greatest = 7 * found["threshold"] / (1 - found["threshold"])
    assert found["lambda"] == pytest.approx(greatest if rule == "reward" else 1 - 2 * found["threshold"])
    assert ThresholdTable.read(files / "out" / "thresholds.parquet").rule == rule
    arguments = ["--probabilities", str(files / "p.npy"), "--labels", str(files / "labels.parquet"), "--rule", rule]
    assert specificity_cli.main([*arguments, "--taxonomy", str(files / "taxonomy.parquet"), "--target", "0.9"]) == 0
    assert "rule         the " in capsys.readouterr().out


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
        "DARTS, reward depth, guaranteed, delta 0.05",
        "least expected distance",
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
    assert "| 95 % |" in text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--target", "90"], "argument --target: must be a number above 0 and below 1, not 90; write 0.9 for 90 %"),
        (["--target", "1"], "above 0 and below 1, not 1"),
        (["--target", "nan"], "above 0 and below 1, not nan"),
        (["--target", "most"], "above 0 and below 1, not most"),
        (["--delta", "0"], "argument --delta: must be a number above 0"),
        (["--holdout", "1"], "argument --holdout: must be a number from 0 and below 1"),
        (["--watch-recall", "95"], "write 0.95 for 95 %"),
        (["--seed", "-1"], "argument --seed: must be a whole number from 0 on, not -1"),
        (["--repeats", "0", "--compare"], "argument --repeats: must be a whole number from 1 on"),
        (["--group-photos", "1.5"], "argument --group-photos: must be a whole number from 1 on"),
        (["--repeats", "2"], "--repeats belongs to --compare"),
        (["--compare", "--json"], "leave --json and --output out"),
        (["--compare", "--repeats", "2", "--holdout", "0.5"], "leave --holdout out"),
    ],
)
def test_an_argument_that_says_nothing_is_a_usage_error(
    files: Path, capsys: Captured, arguments: list[str], reason: str
) -> None:
    given = ["--probabilities", "p", "--labels", "y", "--taxonomy", "t", "--target", "0.9", *arguments]
    with pytest.raises(SystemExit) as ended:
        specificity_cli.main(given)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def _first_photos(files: Path, photos: int, **columns: list[Any]) -> dict[str, str]:
    np.save(files / "few_p.npy", np.load(files / "p.npy")[:photos])
    pq.write_table(pa.table({"class_id": np.load(files / "y.npy")[:photos], **columns}), files / "few_y.parquet")
    return {"p": "few_p.npy", "y": "few_y.parquet"}


@pytest.mark.parametrize("photos", [1, 2])
def test_one_or_two_photographs_are_calibrated_as_well_as_they_can_be(
    files: Path, capsys: Captured, photos: int
) -> None:
    few = _first_photos(files, photos)
    found = _run(files, capsys, "--temperature", "--groups", "kingdom", p=few["p"], y=few["y"], target="0.5")
    assert found["photos"] == photos
    paths = ["--probabilities", str(files / few["p"]), "--labels", str(files / few["y"])]
    paths += ["--taxonomy", str(files / "taxonomy.parquet"), "--target", "0.5"]
    assert specificity_cli.main([*paths, "--compare"]) == 0
    assert "| guaranteed, delta 0.05, temperature | out of reach" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--holdout", "0.5"], "the observations are too few to hold out 0.5 of them: there are 1"),
        (["--delta", "0.1", "--temperature"], "a guarantee with a temperature needs more observations"),
        (["--compare", "--repeats", "2"], "a single photograph or observation cannot be divided into halves"),
    ],
)
def test_a_single_observation_cannot_be_divided(
    files: Path, capsys: Captured, arguments: list[str], reason: str
) -> None:
    few = _first_photos(files, 2, observation_id=["o1", "o1"])
    paths = ["--probabilities", str(files / few["p"]), "--labels", str(files / few["y"])]
    assert specificity_cli.main([*paths, "--taxonomy", str(files / "taxonomy.parquet"), "--target", "0.5",
                                 *arguments]) == 1  # fmt: skip
    assert reason in capsys.readouterr().err


def test_what_the_labels_leave_open_about_observations_is_told(files: Path, capsys: Captured) -> None:
    paths = ["--probabilities", str(files / "p.npy"), "--taxonomy", str(files / "taxonomy.parquet"), "--target", "0.9"]
    assert specificity_cli.main([*paths, "--labels", str(files / "y.npy"), "--delta", "0.1"]) == 0
    assert "the labels have no observation_id" in capsys.readouterr().err
    assert specificity_cli.main([*paths, "--labels", str(files / "y.npy")]) == 0
    assert capsys.readouterr().err == ""
    # Four photographs of each observation, two in each half.
    assert specificity_cli.main([*paths, "--labels", str(files / "labels.parquet"), "--delta", "0.1"]) == 0
    told = capsys.readouterr()
    assert "150 observations have photographs in both halves" in told.err
    assert "chosen by    150 photographs, one of each observation" in told.out


def test_halves_that_are_drawn_are_never_empty(files: Path, capsys: Captured) -> None:
    few = _first_photos(files, 2)
    paths = ["--probabilities", str(files / few["p"]), "--labels", str(files / few["y"]), "--target", "0.5"]
    more = ["--taxonomy", str(files / "taxonomy.parquet"), "--compare", "--repeats", "5"]
    assert specificity_cli.main([*paths, *more]) == 0
    assert "the paper" in capsys.readouterr().out


def test_the_labels_say_who_judges_or_the_holdout_does(files: Path, capsys: Captured) -> None:
    arguments = ["--probabilities", str(files / "p.npy"), "--labels", str(files / "labels.parquet"), "--target", "0.9"]
    arguments += ["--taxonomy", str(files / "taxonomy.parquet"), "--holdout", "0.5"]
    assert specificity_cli.main(arguments) == 1
    assert "the labels say who judges, in the column half: leave --holdout out" in capsys.readouterr().err


def test_trees_with_fewer_ranks_are_told_by_their_own_ranks(files: Path, capsys: Captured) -> None:
    rows = pq.read_table(files / "classes.parquet", columns=["class_id", "class", "species"])
    pq.write_table(rows, files / "two_ranks.parquet")
    arguments = ["--probabilities", str(files / "p_shuffled.npy"), "--labels", str(files / "y_shuffled.npy")]
    arguments += ["--taxonomy", str(files / "two_ranks.parquet"), "--target", "0.9", "--group-photos", "20"]
    assert specificity_cli.main([*arguments, "--groups", "class"]) == 0
    text = capsys.readouterr().out
    assert "root 0, class 1 ... species 2" in text
    assert "| Aves |" in text
    assert specificity_cli.main([*arguments, "--groups", "kingdom"]) == 1
    assert "the taxonomy has no kingdom; choose other groups" in capsys.readouterr().err
    assert specificity_cli.main([*arguments, "--compare"]) == 0
    table = capsys.readouterr().out
    assert "exact, per class" in table
    assert "per kingdom" not in table


PROGRAM = """
import signal, sys, tempfile
from ml import ending
from ml.classifiers import classifier_calibration
from ml.classifiers import cli as specificity_cli
ending.end_by_signals()

def ended(*_):
    print(*[path.name for path in specificity_cli.Path(tempfile.gettempdir()).rglob('*.npy')], flush=True)
    signal.raise_signal(int(sys.argv[1]))

classifier_calibration.calibrate_network = ended
specificity_cli.main(sys.argv[2:])
"""


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "asked to end")])
def test_a_copy_goes_when_a_signal_ends_the_command(
    files: Path, tmp_path: Path, number: signal.Signals, said: str
) -> None:
    (tmp_path / "temporary").mkdir()
    arguments = ["--probabilities", str(files / "columns.parquet"), "--labels", str(files / "y.npy")]
    arguments += ["--taxonomy", str(files / "taxonomy.parquet"), "--target", "0.9"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(int(number)), *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")}, timeout=300,
    )  # fmt: skip
    assert done.stdout == "probabilities.npy\n"
    assert done.stderr == f"naturewatch: {said}\n"
    assert done.returncode == 128 + number
    assert not any((tmp_path / "temporary").iterdir())


def test_signals_are_answered_before_anything_heavy_loads() -> None:
    program = "import sys, ml.classifiers.cli; print({'numpy', 'pyarrow', 'pydantic', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "set()\n"


def test_whoever_reads_no_further_is_not_bothered(
    files: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--probabilities", str(files / "p.npy"), "--labels", str(files / "y.npy")]
    arguments += ["--taxonomy", str(files / "taxonomy.parquet"), "--target", "0.9"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", closed)
        assert specificity_cli.main([*arguments, "--json"]) == 141
    assert capsys.readouterr().err == ""


def test_a_result_that_cannot_be_written_is_told(
    files: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--probabilities", str(files / "p.npy"), "--labels", str(files / "y.npy"), "--target", "0.9"]
    arguments += ["--taxonomy", str(files / "taxonomy.parquet")]
    assert specificity_cli.main([*arguments, "--output", str(files / "p.npy")]) == 1
    assert capsys.readouterr().err == f"naturewatch: {files / 'p.npy'}: File exists\n"
    with open("/dev/full", "w", encoding="utf-8") as full, monkeypatch.context() as patched:  # noqa: PTH123
        patched.setattr(sys, "stdout", full)
        assert specificity_cli.main([*arguments, "--json"]) == 1
    assert capsys.readouterr().err == "naturewatch: No space left on device\n"


def test_names_that_a_terminal_cannot_show_are_escaped(
    files: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pq.read_table(files / "classes.parquet", columns=["class_id", "kingdom", "species"]).to_pylist()
    pq.write_table(pa.Table.from_pylist([{**row, "kingdom": "Āotearoa"} for row in rows]), files / "c.parquet")
    arguments = ["--probabilities", str(files / "p.npy"), "--labels", str(files / "y.npy"), "--target", "0.2"]
    arguments += ["--taxonomy", str(files / "c.parquet"), "--groups", "kingdom"]
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        assert specificity_cli.main(arguments) == 0
    assert rb"\u0100otearoa" in stream.buffer.getvalue()
