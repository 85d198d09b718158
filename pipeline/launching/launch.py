"""Starts the stages of `ml` as child processes of a Dagster step: plain Python, or torchrun with several processes."""

import os
import re
import signal
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError

from ml.spec import RESULT_FILE
from pipeline.errors import ChildError
from pipeline.paths import PROJECT_ROOT

PROGRAM = "ml"
"""The package whose stages are run."""
ALLOCATOR = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592"
"""glibc's settings for children that compute on the processor: by default each large tensor of a step is returned to
the kernel, and its pages are faulted in again by the next step."""
TERMINATION_SECONDS = 120
"""How long an interrupted child may take to write its checkpoint."""


def command(*, stage: str, spec: Path, processes: int = 1) -> list[str]:
    """The command of a child: plain Python, or torchrun when there is more than one process.

    Args:
        stage: A stage of `python -m ml`.
        spec: The specification to hand over.
        processes: One per device, all on this machine.
    """
    arguments = ["-m", PROGRAM, stage, "--spec", str(spec)]
    if processes == 1:
        return [sys.executable, *arguments]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [sys.executable, *torchrun, *arguments]


def environment() -> dict[str, str]:
    """Variables added to a child's environment; what the operator has set stays."""
    return {
        # The packages can be imported from a checkout without installation, too.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")])),
        "MLFLOW_DISABLE_TELEMETRY": os.environ.get("MLFLOW_DISABLE_TELEMETRY", "true"),
        # By default OpenMP's threads wait for each other in a loop; on a machine with other work, that takes several
        # times the work itself.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ALLOCATOR),
    }


def run_child(
    *,
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
    stage: str,
    spec: Path,
    output: Path,
    processes: int = 1,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Run one child to its end and return the path of its `result.json`.

    Args:
        context: Of the Dagster step.
        pipes: Starts the child.
        stage: A stage of `python -m ml`.
        spec: Its specification.
        output: The folder of its result.
        processes: One per device.
        variables: For the child's environment, beside `environment()`.

    Raises:
        ChildError: the child failed, was killed, or left no result; the message repeats the child's error.
    """
    with warnings.catch_warnings():
        # Dagster's own Pipes client calls what Dagster marks as a preview, or as deprecated.
        warnings.simplefilter("ignore", category=dg.PreviewWarning)
        warnings.simplefilter("ignore", category=DeprecationWarning)
        try:
            pipes.run(
                context=context,
                command=command(stage=stage, spec=spec, processes=processes),
                env={**environment(), **variables},
            )
        except DagsterPipesExecutionError as error:
            raise ChildError(_why(error, context=context, stage=stage)) from error
    result = output / RESULT_FILE
    if not result.exists():
        raise ChildError(f"{stage} ended without {result}; its output above says why")
    return result


def _why(error: DagsterPipesExecutionError, *, context: dg.AssetExecutionContext, stage: str) -> str:
    """What a child said when it failed, or how it ended."""
    code = re.search(r"code (-?\d+)", str(error))
    number = -int(code.group(1)) if code is not None else 0
    if number > 0:
        cause = "the machine may lack memory; " if number in {signal.SIGKILL, signal.SIGBUS} else ""
        return f"the process of {stage} was ended by {signal.Signals(number).name}; {cause}run the same command again"
    step = context.get_step_execution_context().step.key
    said = [
        entry.dagster_event.engine_event_data.error
        for entry in context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        if entry.step_key == step
        and entry.dagster_event is not None
        and entry.dagster_event.engine_event_data.error is not None
    ]
    if not said or said[-1] is None:
        return f"{stage} failed ({error}); its output above says why"
    # The name of the exception's class is of no use to people.
    words = re.sub(rf"^[\w.]*{re.escape(said[-1].cls_name or '')}: ", "", said[-1].message)
    return f"{stage}: {' '.join(words.split())}"
