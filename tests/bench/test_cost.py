"""Hours come from measured steps, by card; what was not measured is not guessed."""

import datetime as dt
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from bench import cards
from bench.cards import Measurement
from bench.cost import hours_on_cards, steps_of, unknown_card
from ml.training.recipes import RECIPES

PAPER = RECIPES["paper"]
DAY = dt.date(2026, 11, 26)


def measured(**changes: object) -> Measurement:
    values = {
        "card": "card", "torch": "2.11", "backbone": "inception_resnet_v2", "image_size": 299, "classes": 19_027,
        "views": 2, "batch": 16, "path": "eager", "milliseconds": 100.0, "photos_per_second": 160.0, "date": DAY,
    }  # fmt: skip
    return Measurement.model_validate(values | changes)


def test_the_first_cards_hours_are_those_that_its_steps_take() -> None:
    measurements = cards.read()
    assert {each.card for each in measurements} >= {"NVIDIA H100 80GB HBM3"}
    for each in measurements:
        assert each.photos_per_second == pytest.approx(1000 * each.batch / each.milliseconds, rel=0.01)
    recipe = PAPER["multi_view"]
    steps = steps_of(recipe, photos=971_313)
    assert steps == 273_182
    columns = hours_on_cards(recipe, measurements=measurements, steps=steps)
    # 273,182 x 129.7 ms and x 47.0 ms; 340 photographs a second need two cores of 200.
    assert columns["hours, NVIDIA H100 80GB HBM3"] == "9.8 / 3.6"
    assert columns["cores, NVIDIA H100 80GB HBM3"] == 2


def test_a_larger_batchs_step_is_a_bound_and_a_smaller_ones_is_none() -> None:
    recipe = PAPER["multi_view"]
    larger = [measured(batch=32), measured(batch=64, milliseconds=1.0)]
    assert hours_on_cards(recipe, measurements=larger, steps=36_000)["hours, card"] == "at most 1.0 / not measured"
    columns = hours_on_cards(recipe, measurements=[measured(batch=8)], steps=36_000)
    assert columns == {"hours, card": "not measured / not measured", "cores, card": ""}


@pytest.mark.parametrize(
    "other", [{"views": 1}, {"backbone": "resnet50"}, {"image_size": 224}, {"precision": "tf32"}, {"card": "another"}]
)
def test_what_was_measured_of_something_else_says_nothing(other: dict[str, object]) -> None:
    columns = hours_on_cards(
        PAPER["multi_view"], measurements=[measured(), measured(**other, milliseconds=1.0)], steps=36_000
    )
    assert columns["hours, card"] == "1.0 / not measured"


def test_measurements_are_added_and_the_last_counts(tmp_path: Path) -> None:
    file = tmp_path / "cards.yaml"
    file.write_text("# of cards\n", encoding="utf-8")
    assert cards.read(file) == []
    first, second = measured(peak_gib=4.5), measured(milliseconds=50.0)
    cards.append([first], file)
    cards.append([second, measured(batch=32)], file)
    assert cards.read(file) == [first, second, measured(batch=32)]
    assert file.read_text(encoding="utf-8").startswith("# of cards\n- card: card\n")
    assert cards.step_of(cards.read(file), batch=16) == second
    file.write_text("- {card: x}\n", encoding="utf-8")
    with pytest.raises(ValidationError):
        cards.read(file)


def test_a_card_of_which_nothing_is_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA L4")
    assert unknown_card([measured()]) == [
        "hours on this machine's NVIDIA L4 are left out: `make bench PART=gpu` measures it"
    ]
    assert unknown_card([measured(card="NVIDIA L4")]) == []
