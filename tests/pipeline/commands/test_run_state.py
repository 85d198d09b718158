"""What messages of steps mean for the table, how times are told, and in which order steps run."""

import pytest
from dagster._core.execution.api import create_execution_plan
from dagster._core.execution.plan.outputs import StepOutputHandle
from dagster._core.execution.retries import RetryMode

from ml.child.pipes import Reporter
from ml.child.progress import LINE_SECONDS, Meter
from pipeline.commands.run_state import LEFT, PROGRESS, Progress, RunState, duration, short
from pipeline.definitions import defs
from pipeline.photos.progress import Report


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("1,204 of 8,000 photographs, 250/s, 3.1 MB/s, about 30 s left", ("1,204", "8,000", "photographs")),
        ("features: 841/1362 photographs, 55 a second", ("841", "1362", "photographs")),
        ("packed 100 of 800 photographs, 40 a second", ("100", "800", "photographs")),
        ("searched 300 of 5,000 records", ("300", "5,000", "records")),
        ("1,177 of 1,177 photographs are to be fetched", None),
        ("12 of 1,177 files are not there or cannot be read: a.jpg", None),
        ("epoch 1: loss 0.5, accuracy 88.0%", None),
    ],
)
def test_progress_is_read_from_messages(message: str, found: tuple[str, str, str] | None) -> None:
    match = PROGRESS.fullmatch(message)
    assert (match and (match["done"], match["total"], match["unit"])) == found


def test_what_a_fetch_says_is_progress() -> None:
    said: list[str] = []
    report = Report(total=2000, log=said.append)
    report.statuses.update(ok=900, gone=100)
    report.troubles.update(stalled=2)
    match = PROGRESS.fullmatch(report.line())
    assert match is not None
    assert (match["done"], match["total"]) == ("1,000", "2,000")
    note = LEFT.sub("", match["note"])
    assert note.endswith("100 gone, retries after 2 times stalled")
    assert "left" not in note


def test_what_a_training_says_is_progress() -> None:
    said: list[str] = []
    meter = Meter(title="epoch 1 of 8", total=3840, reporter=Reporter(said.append), bar=None)
    meter._last -= LINE_SECONDS
    meter.advance(864, note="loss 6.210")
    match = PROGRESS.fullmatch(said[0])
    assert match is not None
    assert (match["done"], match["total"], match["unit"]) == ("864", "3840", "photographs")
    assert match["note"].endswith("a second, loss 6.210")


def test_a_fetch_speaks_often_at_its_beginning_and_seldom_later() -> None:
    said: list[str] = []
    report = Report(total=10, log=said.append)
    report.tick()
    assert said == []
    report._last_line -= 1.0
    report.tick()
    assert len(said) == 1
    report.started -= 1e6
    report._last_line -= 9.0
    report.tick()
    assert len(said) == 1
    report._last_line -= 1.5
    report.tick()
    assert len(said) == 2


def test_the_time_left_is_that_of_the_rate_since_the_first_message() -> None:
    progress = Progress(done=300, total=500, unit="photographs", note="", began=10.0, first=100, now=20.0)
    assert progress.seconds_left() == 10.0
    first = Progress(done=100, total=500, unit="photographs", note="", began=10.0, first=100, now=10.0)
    assert first.seconds_left() is None


def test_an_epoch_is_told_by_its_number_accuracy_and_speed() -> None:
    said = (
        "epoch 3: loss 0.512, accuracy 88.0%, validation loss 0.9, accuracy 71.0%, 12.5 photographs a second, "
        "at most 9 MiB"
    )
    assert short(said) == "epoch 3, 88.0% right, 12.5 photographs a second"
    assert short("epoch 1: loss 0.512, accuracy 88.0%, at most 9 MiB") == "epoch 1, 88.0% right"
    assert short("anything else") == "anything else"


def test_durations() -> None:
    told = [duration(seconds) for seconds in (0.04, 9.94, 9.96, 59.4, 59.6, 125, 3600, 90_061)]
    assert told == ["0.0 s", "9.9 s", "10 s", "59 s", "1:00", "2:05", "1:00:00", "25:01:01"]


def test_groups_and_assets_are_in_the_order_of_the_flow() -> None:
    graph = defs.resolve_asset_graph()
    state = RunState.of(graph.get_all_asset_keys(), graph=graph, finding_of=lambda _, message: message)
    assert [group for group, _ in state.groups()] == ["ingest", "dataset", "training", "evaluation", "release"]
    assert len(state.assets) == len(graph.get_all_asset_keys())
    assert next(asset.step for asset in state.assets if asset.name == "class_map") == "taxonomy_history"


def test_the_dataset_page_is_made_before_the_first_training() -> None:
    """Dagster's own plan of the job, with steps that do nothing, one after the other."""
    plan = create_execution_plan(defs.resolve_implicit_global_asset_job_def())
    trainings = {"baseline", "baseline_matched", "multi_view", "genus_stage", "knowledge_transfer"}
    done: list[str] = []
    with plan.start(retry_mode=RetryMode.DISABLED) as active:
        while not active.is_complete:
            (step,) = active.get_steps_to_execute(limit=1)
            for output in step.step_outputs:
                active.mark_step_produced_output(StepOutputHandle(step.key, output.name))
            active.mark_success(step.key)
            done.append(step.key)
    assert done.index("dataset_page") < min(map(done.index, trainings))
