"""What is promised is what was measured, and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.errors import DataError
from ml.serving.promise import read_judged, times
from ml.serving.question import Question
from tests.ml.serving.answerings import answer_of, calibration, point, table, version

ROW = [0.61, 0.35, 0.03, 0.01]


def promise(question: Question | None = None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    found: dict[str, Any] = answer_of(version(**fields), ROW, question)["promise"]
    return found


def test_a_promise_is_told_in_words_with_what_was_measured() -> None:
    assert promise() == {
        "target": 0.9, "accuracy": 0.91, "accuracy_low": 0.88, "accuracy_high": 0.94, "kept": True,
        "text": "right 9 times in 10 at this setting (measured 91 %, 88 to 94 %, on 1,200 photographs that did not "
        "choose it)",
    }  # fmt: skip


def test_what_may_be_below_the_target_by_chance_is_told() -> None:
    small = calibration(evaluation_accuracy=0.86, evaluation_accuracy_low=0.74, evaluation_photos=108)
    found = promise(calibration=small)
    assert found["kept"] is True
    assert found["text"] == (
        "right 9 times in 10 at this setting (measured 86 %, 74 to 94 %, on 108 photographs that did not choose it: "
        "too few to tell the two apart)"
    )


def test_a_broken_promise_is_no_promise() -> None:
    found = promise(Question(target=0.99))
    assert (found["target"], found["accuracy"], found["kept"]) == (0.99, 0.97, False)
    assert found["text"] == (
        "nothing is promised: meant to be right 99 times in 100, but measured 97 %, 95 to 98 %, on 1,200 photographs "
        "that did not choose the setting"
    )


def test_a_target_out_of_reach_is_not_promised() -> None:
    found = promise(thresholds=table(reachable=False))
    assert found["kept"] is False
    assert found["text"] == (
        "nothing is promised: no threshold of this version is known to be right 9 times in 10 (measured 91 %, 88 to "
        "94 %, on 1,200 photographs at the strictest)"
    )


def test_a_threshold_that_is_asked_for_promises_nothing() -> None:
    found = promise(Question(threshold=0.7))
    assert (found["target"], found["accuracy"], found["kept"]) == (None, None, None)
    assert found["text"] == (
        "nothing is promised: a probability of 70 % was asked for, not an accuracy (this version's probabilities are "
        "off by 8.3 % on average)"
    )


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (Question(within=("Aves",)), "without a filter: nothing is promised within Aves"),
        (Question(region=(0, 0, 1, 0.5)), "on whole photographs: nothing is promised of a region"),
        (
            Question(within=("Aves", "Plantae"), region=(0, 0, 1, 0.5)),
            "without a filter and on whole photographs: nothing is promised within Aves or Plantae and of a region",
        ),
    ],
)
def test_nothing_is_promised_of_other_photographs_than_those_that_were_measured(question: Question, text: str) -> None:
    found = promise(question)
    assert found["text"] == f"set to be right 9 times in 10, which was measured {text}"
    assert (found["target"], found["accuracy"], found["kept"]) == (0.9, None, None)


def test_a_guarantee_says_how_sure_it_is() -> None:
    sure = calibration(delta=0.05, points=[point(0.9, 0.93, low=0.9, high=0.95, guaranteed=True)])
    assert promise(calibration=sure)["text"].startswith("right 9 times in 10 at this setting with 95 % confidence (")
    # A group that is too small spoils it.
    unsure = calibration(delta=0.05, points=[point(0.9, 0.93, low=0.9, high=0.95)])
    assert "confidence" not in promise(calibration=unsure)["text"]


def test_a_group_is_promised_what_was_measured_of_it() -> None:
    measured = {"threshold": 0.8, "reachable": True, "calibration_photos": 300, "depth": 6.0}
    groups = [
        {"taxon": "others", "taxon_key": None, "evaluation_photos": 0, "accuracy": None, "accuracy_low": None,
         "accuracy_high": None, **measured, "depth": None},
        {"taxon": "Animalia", "taxon_key": "K1", "evaluation_photos": 310, "accuracy": 0.92, "accuracy_low": 0.89,
         "accuracy_high": 0.95, **measured},
    ]  # fmt: skip
    served = version(calibration=calibration(groups=groups), thresholds=table(groups=(0, 1), depth=1))
    assert answer_of(served, ROW)["promise"]["text"] == (
        "right 9 times in 10 at this setting (measured 92 %, 89 to 95 %, on 310 photographs taken for Animalia that "
        "did not choose it)"
    )
    assert "on 1,200 photographs that" in answer_of(served, [0.01, 0.01, 0.01, 0.97])["promise"]["text"]


def test_each_target_of_the_table_has_its_measure(tmp_path: Path) -> None:
    rows = [{"target": 0.8, "accuracy": 0.83, "accuracy_low": 0.81, "accuracy_high": 0.85, "depth": 6.5}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "by_target.parquet")
    judged = read_judged(tmp_path / "by_target.parquet", photos=1_200)
    # One in between is answered with the next higher of the table.
    found = promise(Question(target=0.75), calibration=calibration(points=[]), judged=judged)
    assert found["text"] == (
        "right 15 times in 20 at this setting (measured 83 %, 81 to 85 %, on 1,200 photographs that did not choose it)"
    )


def test_versions_without_a_measure_of_a_target_say_so(tmp_path: Path) -> None:
    bare = calibration(points=[])
    found = promise(Question(target=0.8), calibration=bare)
    assert (found["kept"], found["accuracy"]) == (None, None)
    assert found["text"] == (
        "right 8 times in 10 at this setting, on the photographs that chose it (this version kept no other measure)"
    )
    # A table without intervals tells the accuracy, and too little to call the promise broken.
    pq.write_table(pa.table({"target": [0.8], "accuracy": [0.78]}), tmp_path / "by_target.parquet")
    judged = read_judged(tmp_path / "by_target.parquet", photos=1_200)
    found = promise(Question(target=0.8), calibration=bare, judged=judged)
    assert (found["kept"], found["accuracy"], found["accuracy_low"]) == (None, 0.78, None)
    assert "(measured 78 %, on 1,200 photographs that did not choose it)" in found["text"]


def test_a_damaged_table_of_targets_is_told(tmp_path: Path) -> None:
    (tmp_path / "by_target.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"by_target\.parquet is not a table of targets"):
        read_judged(tmp_path / "by_target.parquet", photos=1)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.9, "9 times in 10"), (0.95, "19 times in 20"), (0.85, "17 times in 20"), (0.99, "99 times in 100"),
        (0.995, "995 times in 1,000"), (0.9034, "90.34 % of the time"),
    ],
)  # fmt: skip
def test_shares_are_told_in_small_numbers(share: float, words: str) -> None:
    assert times(share) == times(float(np.float64(share))) == words
