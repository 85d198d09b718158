"""The page about place and season for other classifiers: its commands run as printed, and print what it says."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from ml.classifiers.place_prior_cli import main
from ml.classifiers.place_tables import NAMES, NEEDED
from ml.places.choice import LEAST_ROWS
from ml.places.prior import PriorSettings
from tests.docs.printed import blocks, commands, inline, text_of
from tests.ml.classifiers.place_world import write_files

PAGE = "docs/place-prior.md"


def test_the_command_prints_what_the_page_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ".venv/bin/python -m tests.ml.classifiers.place_world example" in inline(PAGE)
    monkeypatch.chdir(write_files(tmp_path / "example"))
    (words,) = [command.words for command in commands() if command.block.page == PAGE]
    assert words[:2] == ("naturewatch", "place-prior")
    assert main(words[2:]) == 0, shlex.join(words)
    (printed,) = blocks("text", page=PAGE)
    assert capsys.readouterr().out == printed.text
    assert np.load("composed.npy").shape == (200, 4)


def test_logits_become_probabilities_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("logits.npy", np.array([[1000.0, 999.0], [-3.0, -3.0]], dtype=np.float32))
    (softmax,) = blocks("python", page=PAGE)
    exec(compile(softmax.text, str(softmax), "exec"), {})
    assert np.load("P.npy") == pytest.approx(np.array([[0.7311, 0.2689], [0.5, 0.5]]), abs=1e-4)


def test_what_the_page_says_of_columns_and_limits_holds() -> None:
    told = inline(PAGE)
    for column in (*NEEDED, *NAMES):
        if column != "uncertainty":
            assert column in told, column
    folded = {name.replace("_", "").casefold() for name in told}
    assert {spelling for spellings in NAMES.values() for spelling in spellings} <= folded
    text = " ".join(text_of(PAGE).split())
    assert f"Fewer than {LEAST_ROWS} calibration photographs" in text
    assert f"{PriorSettings().far_km:g} km from every occurrence" in text
