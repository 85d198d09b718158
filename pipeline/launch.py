"""Starts child processes through Dagster Pipes. A laptop, a workstation and a cluster differ here and nowhere else."""

import os
import sys
import warnings
from pathlib import Path

import dagster as dg

from ml.spec import RESULT_FILE
from pipeline.errors import ChildError
from pipeline.paths import PROJECT_ROOT

ALLOCATOR = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592"
"""glibc's settings for children that compute on the processor: by default every large tensor of a step is given back to
the kernel and faulted in again by the next."""
TERMINATION_SECONDS = 120
"""How long an interrupted child may take to write its checkpoint."""


def command(*, module: str, spec: Path, processes: int = 1) -> list[str]:
    """The command of a child: plain Python, or torchrun when there is more than one process.

    Args:
        module: A module of `ml` with a `--spec FILE` option.
        spec: The specification to hand over.
        processes: One per device; ranks find each other on this host.
    """
    arguments = ["-m", module, "--spec", str(spec)]
    if processes == 1:
        return [sys.executable, *arguments]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [sys.executable, *torchrun, *arguments]


def environment() -> dict[str, str]:
    """What a child's environment has beside this process's; what the operator has set stays."""
    return {
        # The rooms are importable from a checkout without installation, too.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")])),
        "MLFLOW_DISABLE_TELEMETRY": os.environ.get("MLFLOW_DISABLE_TELEMETRY", "true"),
        # By default OpenMP's threads wait for each other in a loop: on a machine that does something else, too, the
        # waiting takes several times the work.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ALLOCATOR),
    }


def run_child(
    *,
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
    module: str,
    spec: Path,
    output: Path,
    processes: int = 1,
) -> Path:
    """Run one child to its end and return the path of its `result.json`.

    Raises:
        dagster.DagsterPipesExecutionError: the child ended with an error; its own line is in the log.
        ChildError: the child ended well but left no result.
    """
    with warnings.catch_warnings():
        # Dagster's own Pipes client calls what it marks as a preview.
        warnings.simplefilter("ignore", category=dg.PreviewWarning)
        pipes.run(
            context=context,
            command=command(module=module, spec=spec, processes=processes),
            env=environment(),
        )
    result = output / RESULT_FILE
    if not result.exists():
        raise ChildError(f"{module} ended without {result}; its output above says why")
    return result
