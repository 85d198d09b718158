"""Twelve simulated weeks: no champion is worse than the best so far by more than the margin, and costs follow."""

import pytest

from bench.twelve_weeks import MARGIN, MERGED, OUTAGE, POISONED, SAME, SPLIT, Simulation, simulate

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::dagster.PreviewWarning"),
    # Twelve refreshes are a minute and a half of one processor, which others may want as well.
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate(tmp_path_factory.mktemp("weeks"))


def test_at_no_week_is_the_champion_below_the_best_so_far_by_more_than_the_margin(simulation: Simulation) -> None:
    assert len(simulation.weeks) == 12
    assert simulation.photos > 150
    for week in simulation.weeks:
        assert simulation.best(week) - simulation.champion(week) <= MARGIN, week
    assert simulation.champion(simulation.weeks[-1]) > simulation.champion(simulation.weeks[0])


def test_every_week_that_brings_something_sound_is_released(simulation: Simulation) -> None:
    released = [week.number for week in simulation.weeks if week.gate == "passed"]
    assert released == [1, 2, 3, 4, 6, 8, SPLIT, MERGED, 12]
    assert all(
        (week.champion == week.challenger, week.failed) == (True, ())
        for week in simulation.weeks
        if week.number in released
    )


def test_the_outage_ends_before_the_dataset_with_the_reason(simulation: Simulation) -> None:
    before, outage, after = simulation.weeks[OUTAGE - 2 : OUTAGE + 1]
    assert outage.failed == ("photos",)
    assert "could not be fetched" in outage.message
    assert "photos.replica.test" in outage.message
    assert (outage.photos, outage.steps, outage.champion) == (before.photos, 0, before.champion)
    assert after.photos > before.photos


def test_the_version_that_learnt_shuffled_names_is_refused(simulation: Simulation) -> None:
    before, poisoned = simulation.weeks[POISONED - 2 : POISONED]
    assert poisoned.failed == ("exam_answers_gate",)
    assert poisoned.decision is not None
    assert any("by the names of before" in reason for reason in poisoned.decision.failed)
    assert poisoned.champion == before.champion
    assert simulation.top1[poisoned.challenger or ""] < simulation.champion(poisoned) - 10 * MARGIN


def test_only_new_photographs_are_asked_for(simulation: Simulation) -> None:
    """In the outage some are refused; they are asked for once more when the host is back."""
    for week in simulation.weeks:
        if week.number not in {OUTAGE, OUTAGE + 1}:
            assert week.requests == week.came, week
    outage, after = simulation.weeks[OUTAGE - 1 : OUTAGE + 1]
    assert outage.requests == outage.came
    assert 0 < after.requests < outage.came


def test_a_training_takes_a_third_of_the_steps_and_none_where_nothing_changed(simulation: Simulation) -> None:
    first, *others = simulation.weeks
    assert (first.how, first.steps) == ("full", first.in_full)
    continued = [week for week in others if week.number not in {OUTAGE, SAME}]
    assert {week.how for week in continued} == {"continued"}
    assert all(0 < 3 * week.steps <= week.in_full for week in continued)
    assert (others[SAME - 2].how, others[SAME - 2].steps, others[SAME - 2].gate) == ("none", 0, "champion already")
