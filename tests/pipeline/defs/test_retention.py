"""The job `prune`: it only says what would go unless it is told to remove, and its schedule is off."""

from pathlib import Path

import dagster as dg
import pytest

from pipeline.defs.retention import monthly_prune, prune
from pipeline.defs.scope_resource import Scope
from tests.pipeline.retention.lived_in import MODEL, instance_in, lived_in, photographs


def test_the_job_removes_only_when_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = lived_in(tmp_path / "data")
    for name, value in {
        "NAME": "test", "DATA_ROOT": settings.data_root, "REGISTRY__MODEL_NAME": MODEL, "REGISTRY__EXPERIMENT": "test",
        "RETENTION__VERSIONS": 1, "RETENTION__CHAMPIONS": 1, "RETENTION__DOWNLOADS": 1,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"NATUREWATCH__{name}", str(value))
    with instance_in(settings.paths.data_root) as instance:
        run = prune.execute_in_process(instance=instance, resources={"scope": Scope()})
        (event,) = [each for each in run.all_events if each.event_type_value == "STEP_OUTPUT"]
        assert event.step_output_data.metadata["items"] == dg.IntMetadataValue(8)
        assert photographs(settings.paths) == {"p0", "p1", "p2", "p3", "p4"}
        assert monthly_prune.default_status is dg.DefaultScheduleStatus.STOPPED
        context = dg.build_schedule_context(instance=instance)
        (request,) = monthly_prune.evaluate_tick(context).run_requests or ()
        prune.execute_in_process(instance=instance, resources={"scope": Scope()}, run_config=request.run_config)
    assert photographs(settings.paths) == {"p2", "p3", "p4"}
