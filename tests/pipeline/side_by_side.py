"""Assets that stand for trainings, in a job that the processes of its steps can make again."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

from pipeline.defs.together import PROCESSOR, TRAININGS, executor_config
from pipeline.errors import ChildError
from pipeline.launching import pools
from pipeline.launching.gpus import VISIBLE, reserved

pools.install()
FOLDER = "TESTED_FOLDER"
"""Variable: where each training leaves `<name>.json`."""
MEETING_SECONDS = "TESTED_SECONDS"
"""Variable: how long a training waits for another one to be there with it."""


def _train(context: dg.AssetExecutionContext) -> None:
    name, folder = context.asset_key.to_user_string(), Path(os.environ[FOLDER])
    with reserved(processes=1, what=name, say=context.log.info) as variables:
        here = folder / f"{name}.here"
        here.touch()
        try:
            deadline = time.monotonic() + float(os.environ[MEETING_SECONDS])
            while (beside := len(list(folder.glob("*.here"))) > 1) is False and time.monotonic() < deadline:
                time.sleep(0.02)
            # Until the other one has seen this one, too.
            (folder / f"{name}.json").write_text(json.dumps({"gpu": variables.get(VISIBLE), "beside": beside}))
            while beside and len(list(folder.glob("*.json"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            here.unlink()


@dg.asset(pool=TRAININGS)
def baseline(context: dg.AssetExecutionContext) -> None:
    _train(context)


@dg.asset(pool=TRAININGS)
def multi_view(context: dg.AssetExecutionContext) -> None:
    _train(context)


@dg.asset(op_tags=PROCESSOR)
def failing() -> None:
    raise ChildError("train: the loss is\nnot finite; lower the rate")


@dg.asset(op_tags=PROCESSOR)
def broken() -> None:
    _ = 1 // 0


@dg.asset(pool=TRAININGS)
def endless(context: dg.AssetExecutionContext, pipes: dg.PipesSubprocessClient) -> None:
    """A child that says its number and goes on until it is interrupted."""
    script = (
        "import os, pathlib, sys, time\n"
        f"pathlib.Path({str(Path(os.environ[FOLDER]) / 'child')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    pipes.run(context=context, command=[sys.executable, "-c", script])


def whole_pipeline() -> dg.JobDefinition:
    return dg.Definitions(
        assets=[baseline, multi_view, failing, broken, endless],
        jobs=[dg.define_asset_job("side_by_side", selection="*")],
        executor=dg.multiprocess_executor.configured(executor_config()),
        loggers={"console": dg.colored_console_logger},
        resources={"pipes": dg.PipesSubprocessClient(termination_timeout_seconds=10)},
    ).resolve_job_def("side_by_side")


def is_running(number: int) -> bool:
    return subprocess.run(["kill", "-0", str(number)], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    from pipeline.commands import run
    from pipeline.launching.interrupts import Interrupted, raise_on_signals

    run.whole_pipeline = whole_pipeline  # type: ignore[attr-defined]
    raise_on_signals()
    try:
        with dg.DagsterInstance.get() as instance:
            run._in_processes(instance, [dg.AssetKey("endless")], log="run.log")
    except Interrupted as interrupt:
        sys.exit(interrupt.status)
