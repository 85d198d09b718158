"""The experiments: rows that can be compared, tables that say what came out, a document that keeps the rest."""

import math
from pathlib import Path

import pytest

from bench.experiments.rows import BEST, BEST_OF_ALL, EPOCHS, PAPERS_SETTING, PLAIN_VIEWS, Row, Stage, transferred
from bench.experiments.table import insert, interval
from ml.training.recipes import rate_at


@pytest.mark.parametrize("row", PAPERS_SETTING, ids=lambda row: row.name)
def test_every_row_of_the_papers_setting_takes_the_same_steps_with_the_same_batches(row: Row) -> None:
    stages = row.stages
    assert sum(stage.recipe.epochs for stage in stages) == pytest.approx(EPOCHS)
    assert len({stage.recipe.batch for stage in stages}) == 1
    assert stages[-1].recipe.rank == "species"
    assert all(rate_at(stage.recipe, done=0) >= 0 for stage in stages)


@pytest.mark.parametrize("row", BEST_OF_ALL, ids=lambda row: row.name)
def test_every_row_of_the_best_fits_the_head_before_anything_else(row: Row) -> None:
    assert row.stages[0].recipe.probe is not None
    epochs = sum(stage.recipe.epochs for stage in row.stages)
    assert epochs == 0 or epochs == pytest.approx(BEST.epochs)


def test_the_paper_gives_a_third_of_the_steps_to_the_genera() -> None:
    stages: tuple[Stage, ...] = transferred(PLAIN_VIEWS)
    assert [stage.recipe.rank for stage in stages] == ["genus", "species"]
    assert stages[0].recipe.epochs / EPOCHS == pytest.approx(1.5 / 4.5)


def test_an_interval_by_students_t() -> None:
    mean, half = interval([0.5, 0.6, 0.7])
    assert mean == pytest.approx(0.6)
    assert half == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert math.isnan(interval([0.5])[1])


def test_a_table_takes_its_place_in_the_document(tmp_path: Path) -> None:
    document = tmp_path / "experiments.md"
    document.write_text("before\n<!-- numbers -->\nold\n<!-- end of numbers -->\nafter\n", encoding="utf-8")
    for _ in range(2):
        insert("| a |", mark="numbers", document=document)
    assert document.read_text() == "before\n<!-- numbers -->\n| a |\n<!-- end of numbers -->\nafter\n"
    with pytest.raises(ValueError, match="no place for other"):
        insert("x", mark="other", document=document)
