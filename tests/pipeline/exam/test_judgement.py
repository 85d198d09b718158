"""A challenger passes if nothing is worse than the gate allows; what could not be measured never passes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.spec import ExamResult, VersionAnswers
from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.exam.decision import Decision, read_decision
from pipeline.exam.judgement import already_champion, decide
from tests.pipeline.exam.answered import PHOTOS, SPECIES, answers, mistaken, write_tree

IDENTITIES = {"1": "run a", "2": "run b"}


@pytest.fixture
def gate(make_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    def make(**gate: Any) -> Settings:  # noqa: ANN401
        settings = make_settings(gate=gate)
        write_tree(settings)
        return settings

    return make


def decision(
    settings: Settings, challenger: VersionAnswers, champion: VersionAnswers | None, best: VersionAnswers | None = None
) -> Decision:
    result = ExamResult(challenger=challenger, champion=champion, best=best)
    return decide(settings, result, exam=3, versions=IDENTITIES)


def test_the_same_answers_pass_with_no_change(gate: Callable[..., Settings], tmp_path: Path) -> None:
    wrong = mistaken(0.3)
    found = decision(gate(), answers(tmp_path, "2", wrong=wrong), answers(tmp_path, "1", wrong=wrong))
    assert found.passed
    assert (found.challenger, found.champion, found.exam, found.versions) == ("2", "1", 3, IDENTITIES)
    (comparison,) = found.comparisons
    assert (comparison.role, comparison.photos, comparison.species) == ("champion", PHOTOS, 4)
    assert [verdict.metric for verdict in comparison.verdicts] == [
        "top1",
        "macro_top1",
        "depth",
        "promise",
        "group",
        "group",
    ]
    assert {(verdict.change, verdict.low, verdict.high) for verdict in comparison.verdicts} == {(0, 0, 0)}
    assert len(found.reasons) == 6


def test_a_worse_one_fails_with_the_interval_in_its_reasons(gate: Callable[..., Settings], tmp_path: Path) -> None:
    found = decision(gate(), answers(tmp_path, "2", wrong=mistaken(0.28)), answers(tmp_path, "1", wrong=mistaken(0.26)))
    assert not found.passed
    top1 = found.comparisons[0].verdicts[0]
    assert found.reasons[0] == found.failed[0] == top1.sentence
    assert top1.sentence == (
        f"top-1 72.0 % against 74.0 % of version 1: -2.0 points (95 % interval {100 * top1.low:+.1f} to "  # type: ignore[operator]
        f"{100 * top1.high:+.1f}, 400 photographs), and at most 1.0 may be lost"  # type: ignore[operator]
    )
    assert top1.low is not None
    assert top1.low < -0.02 < (top1.high or 0)


def test_who_learnt_names_that_changed_is_judged_by_the_names_of_before_as_well(
    gate: Callable[..., Settings], tmp_path: Path
) -> None:
    # Every parrot and gannet is called something else now, and the challenger says so; the champion says the old names.
    names = {row: SPECIES[(row // 2 + 1) % 3] for row in range(PHOTOS) if row // 2 % 4 < 3}
    challenger = answers(tmp_path, "2", wrong=mistaken(0.2))
    champion = answers(tmp_path, "1", wrong=list(names), named=names, columns={"top_key": "?"})
    found = decision(gate(), challenger, champion)
    by_present, by_earlier = (
        next(each for each in found.comparisons[0].verdicts if each.metric == metric)
        for metric in ("top1", "earlier_names")
    )
    assert by_present.passed
    assert by_present.change is not None
    assert by_present.change > 0.5
    assert by_earlier.challenger is not None
    assert by_earlier.challenger < 0.5
    # Made up so that the champion is right by its own names.
    rows = pq.read_table(champion.answers)
    said = pa.array([names.get(number, key) for number, key in enumerate(rows["species_key"].to_pylist())])
    pq.write_table(rows.set_column(rows.column_names.index("top_key"), "top_key", said), champion.answers)
    refused = decision(gate(), challenger, champion)
    assert not refused.passed
    assert "top-1 by the names of before" in refused.failed[0]


def test_versions_are_compared_as_they_answer_where_the_place_is_told(
    gate: Callable[..., Settings], tmp_path: Path
) -> None:
    wrong, fewer = mistaken(0.3), mistaken(0.1)
    champion = answers(tmp_path, "1", wrong=wrong, told={"place": mistaken(0.2), "place_and_date": fewer})
    same = decision(
        gate(), answers(tmp_path, "2", wrong=wrong, told={"place": fewer, "place_and_date": fewer}), champion
    )
    assert same.passed
    verdicts = {(each.case, each.metric): each for each in same.comparisons[0].verdicts}
    assert verdicts["place", "top1"].change == pytest.approx(0.1)
    assert verdicts["place_and_date", "promise"].change == 0
    assert {metric for case, metric in verdicts if case == "place"} == {"top1", "macro_top1", "depth", "promise"}
    # As good as ever by the photograph alone, and worse with place and date.
    worse = answers(tmp_path, "3", wrong=wrong, told={"place": fewer, "place_and_date": mistaken(0.2)})
    refused = decision(gate(), worse, champion)
    assert not refused.passed
    assert refused.failed[0].startswith("told place and date: top-1 80.0 % against 90.0 % of version 1: -10.0 points")
    assert all("told place and date" in sentence for sentence in refused.failed)


def test_a_version_that_knows_no_places_answers_as_ever_where_they_are_told(
    gate: Callable[..., Settings], tmp_path: Path
) -> None:
    wrong, fewer = mistaken(0.3), mistaken(0.1)
    knows, does_not = answers(tmp_path, "1", wrong=wrong, told={"place": fewer}), answers(tmp_path, "2", wrong=wrong)
    refused = decision(gate(), does_not, knows)
    assert refused.failed[0].startswith("told the place: top-1 70.0 % against 90.0 % of version 1")
    assert decision(gate(), knows, does_not).passed
    neither = decision(gate(), does_not, does_not)
    assert {each.case for each in neither.comparisons[0].verdicts} == {"neither"}


def test_a_handful_of_places_judges_nothing(gate: Callable[..., Settings], tmp_path: Path) -> None:
    champion = answers(tmp_path, "1", told={"place": ()})
    settings = gate(group_photos=PHOTOS + 1, group={"min_absolute_change": None})
    found = decision(settings, answers(tmp_path, "2", told={"place": range(PHOTOS)}), champion)
    assert found.passed
    assert {each.case for each in found.comparisons[0].verdicts} == {"neither"}


def test_the_first_champion_is_held_to_least_values_with_a_place_as_well(
    gate: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = gate(promise={"threshold": 0.9})
    found = decision(
        settings, answers(tmp_path, "1", told={"place": mistaken(0.05), "place_and_date": mistaken(0.2)}), None
    )
    assert not found.passed
    (sentence,) = found.failed
    assert sentence.startswith("told place and date: right answers (target 90 %) 80.0 %")


def test_where_nothing_was_renamed_there_is_no_judgement_by_earlier_names(
    gate: Callable[..., Settings], tmp_path: Path
) -> None:
    found = decision(gate(), answers(tmp_path, "2"), answers(tmp_path, "1"))
    assert "earlier_names" not in {each.metric for each in found.comparisons[0].verdicts}


@pytest.mark.parametrize(("lost", "passed"), [(0.0, True), (0.01, True), (0.0125, False)])
def test_what_is_exactly_allowed_may_be_lost(
    gate: Callable[..., Settings], tmp_path: Path, lost: float, *, passed: bool
) -> None:
    settings = gate(macro_top1={"min_absolute_change": -0.05}, group={"min_absolute_change": None})
    found = decision(
        settings, answers(tmp_path, "2", wrong=mistaken(0.2 + lost)), answers(tmp_path, "1", wrong=mistaken(0.2))
    )
    assert found.passed is passed


@pytest.mark.parametrize(
    ("metric", "columns"),
    [("depth", {"depth": 6}), ("promise", {"answer_right": False}), ("top1", {"top1_right": False})],
)
def test_each_metric_can_refuse(
    gate: Callable[..., Settings], tmp_path: Path, metric: str, columns: dict[str, Any]
) -> None:
    found = decision(gate(), answers(tmp_path, "2", columns=columns), answers(tmp_path, "1"))
    assert metric in {each.metric for each in found.comparisons[0].verdicts if not each.passed}
    assert not found.passed


@pytest.mark.parametrize("column", ["top1_right", "answer_right", "depth"])
def test_what_was_not_measured_never_passes(gate: Callable[..., Settings], tmp_path: Path, column: str) -> None:
    found = decision(gate(), answers(tmp_path, "2", columns={column: None}), answers(tmp_path, "1"))
    assert not found.passed
    assert "not measured" in found.reasons[0]


def test_a_group_is_refused_only_where_chance_does_not_explain_it(
    gate: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = gate(
        top1={"min_absolute_change": -0.2},
        macro_top1={"min_absolute_change": -0.2},
        promise={"min_absolute_change": -0.2},
    )
    plants = [row for row in range(PHOTOS) if row // 2 % 4 == 3]
    champion = answers(tmp_path, "1", wrong=plants[:40:2])
    (few,) = (
        each
        for each in decision(settings, answers(tmp_path, "2", wrong=[*plants[:27:2], *plants[41:65:2]]), champion)
        .comparisons[0].verdicts
        if each.title == "Magnoliopsida"
    )  # fmt: skip
    assert (few.passed, round(few.change or 0, 2)) == (True, -0.06)
    assert few.sentence.endswith("and at most 5.0 may be lost unless chance explains it, as here")
    found = decision(settings, answers(tmp_path, "2", wrong=plants[:60]), champion)
    (many,) = (each for each in found.comparisons[0].verdicts if each.title == "Magnoliopsida")
    assert (found.passed, many.passed, found.failed) == (False, False, (many.sentence,))
    assert many.sentence.startswith("Magnoliopsida: top-1 40.0 % against 80.0 % of version 1: -40.0 points")


def test_a_group_with_few_photographs_is_not_judged_by_itself(gate: Callable[..., Settings], tmp_path: Path) -> None:
    found = decision(gate(group_photos=101), answers(tmp_path, "2"), answers(tmp_path, "1"))
    assert [each.title for each in found.comparisons[0].verdicts if each.metric == "group"] == ["Aves"]
    by_order = decision(gate(group_rank="order"), answers(tmp_path, "2"), answers(tmp_path, "1"))
    titles = [each.title for each in by_order.comparisons[0].verdicts if each.metric == "group"]
    assert titles == ["Psittaciformes", "Rosales", "Suliformes"]


def test_only_species_that_both_know_decide_and_the_others_are_reported(
    gate: Callable[..., Settings], tmp_path: Path
) -> None:
    new, old = SPECIES[3], SPECIES[2]
    found = decision(gate(), answers(tmp_path, "2", unknown=[old]), answers(tmp_path, "1", unknown=[new]))
    (comparison,) = found.comparisons
    assert found.passed
    assert (comparison.photos, comparison.species) == (PHOTOS // 2, 2)
    mine, theirs = comparison.only
    assert (mine.version, mine.species, mine.photos, mine.top1) == ("2", 1, PHOTOS // 4, 1.0)
    assert (theirs.version, theirs.species, theirs.photos, theirs.promise) == ("1", 1, PHOTOS // 4, 1.0)


def test_without_anything_in_common_nothing_passes(gate: Callable[..., Settings], tmp_path: Path) -> None:
    found = decision(gate(), answers(tmp_path, "2", unknown=SPECIES[:2]), answers(tmp_path, "1", unknown=SPECIES[2:]))
    assert not found.passed
    assert found.failed == (
        "version 2 and version 1 have answered no photograph of the exam of a species that both know",
    )
    empty = decision(gate(), answers(tmp_path, "2", photos=0), answers(tmp_path, "1", photos=0))
    assert (empty.passed, empty.failed) == (False, found.failed)


def test_the_first_champion_passes_and_its_numbers_are_told(gate: Callable[..., Settings], tmp_path: Path) -> None:
    found = decision(gate(), answers(tmp_path, "1", wrong=mistaken(0.25)), None)
    assert (found.passed, found.champion) == (True, None)
    assert found.reasons[:2] == ("version 1 is the first champion", "top-1 75.0 % (400 photographs)")
    assert decision(gate(), answers(tmp_path, "1", photos=0), None).passed


def test_a_least_value_is_wanted_of_the_first_champion_too(gate: Callable[..., Settings], tmp_path: Path) -> None:
    settings = gate(promise={"threshold": 0.8, "min_absolute_change": None})
    found = decision(settings, answers(tmp_path, "1", wrong=mistaken(0.25)), None)
    assert (found.passed, found.failed) == (
        False,
        ("right answers (target 90 %) 75.0 % (400 photographs), and at least 80.0 % is wanted",),
    )
    assert not decision(settings, answers(tmp_path, "1", photos=0), None).passed
    assert decision(settings, answers(tmp_path, "2", wrong=mistaken(0.2)), None).passed


def test_a_champion_whose_files_are_gone_gives_way(gate: Callable[..., Settings], tmp_path: Path) -> None:
    champion = answers(tmp_path, "1", lost=True, problem="version 1 of 'naturewatch' is incomplete")
    found = decision(gate(), answers(tmp_path, "2", wrong=mistaken(0.9)), champion)
    assert (found.passed, found.champion) == (True, "1")
    assert found.reasons[0] == "version 1 is the champion, and its files are gone: it cannot be served any more"
    assert found.notes == ("version 1 could not be asked: version 1 of 'naturewatch' is incomplete",)


def test_a_challenger_that_cannot_be_asked_fails(gate: Callable[..., Settings], tmp_path: Path) -> None:
    found = decision(gate(), answers(tmp_path, "2", problem="damaged"), None)
    assert (found.passed, found.reasons, found.failed) == (
        False,
        ("version 2 cannot be judged: damaged",),
        found.reasons,
    )


def test_a_champion_that_cannot_be_asked_is_compared_by_the_answers_that_are_kept(
    gate: Callable[..., Settings], tmp_path: Path
) -> None:
    champion = answers(tmp_path, "1", photos=100, problem="other code made it")
    found = decision(gate(), answers(tmp_path, "2"), champion)
    assert (found.passed, found.comparisons[0].photos, len(found.notes)) == (True, 100, 1)
    never = answers(tmp_path, "1", photos=0, problem="other code made it")
    assert not decision(gate(), answers(tmp_path, "2"), never).passed


def test_a_little_worse_every_week_does_not_add_up(gate: Callable[..., Settings], tmp_path: Path) -> None:
    settings = gate(top1={"min_absolute_change": -0.02}, macro_top1={"min_absolute_change": None},
                    promise={"min_absolute_change": None}, group={"min_absolute_change": None})  # fmt: skip
    shares = {"1": 0.2}
    champion = "1"
    refused = []
    for week in range(2, 12):
        shares[str(week)] = 0.2 + 0.02 * (week - 1)
        best = min(shares, key=lambda number: shares[number])
        versions = {
            number: answers(tmp_path, number, wrong=mistaken(shares[number])) for number in (champion, best, str(week))
        }
        found = decision(
            settings, versions[str(week)], versions[champion], best=versions[best] if best != champion else None
        )
        if found.passed:
            champion = str(week)
        else:
            refused.append(week)
        assert shares[champion] <= shares["1"] + 0.02
    assert champion == "2"
    assert refused == list(range(3, 12))
    (against,) = (each for each in found.comparisons if each.role == "best")
    assert against.other == "1"
    assert not against.passed


def test_the_champion_already_needs_no_exam(gate: Callable[..., Settings]) -> None:
    settings = gate()
    found = already_champion("4", exam=2, target=0.9, versions={"4": "run a"})
    assert (found.passed, found.reasons) == (True, ("version 4 is the champion already",))
    found.write(settings.paths)
    assert read_decision(settings) == found


def test_a_decision_is_read_back_as_it_was_written(gate: Callable[..., Settings], tmp_path: Path) -> None:
    settings = gate()
    found = decision(settings, answers(tmp_path, "2", wrong=mistaken(0.2)), answers(tmp_path, "1"))
    found.write(settings.paths)
    assert read_decision(settings) == found
    settings.paths.exam_decision.write_text("{}")
    with pytest.raises(RegistryError, match=r"another version wrote it .*materialise the asset exam_answers again"):
        read_decision(settings)
    settings.paths.exam_decision.unlink()
    with pytest.raises(RegistryError, match="is missing; materialise the asset exam_answers"):
        read_decision(settings)
