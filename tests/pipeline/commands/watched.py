"""A small pipeline of real Dagster steps, run under the table that people see. Started by the tests in a terminal.

Arguments: the folder of the run, and what the step `photos` does at its end: `done`, `fail`, `full` or `wait`.
"""

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from pipeline.commands.run_log import logging_to
from pipeline.commands.run_state import RunState
from pipeline.commands.run_watch import RUN_TAG, Watch
from pipeline.defs.console import console
from pipeline.errors import GbifError
from pipeline.failures import Failures
from pipeline.launching.interrupts import Interrupted, raise_on_signals

WAIT_SECONDS = 60.0
GROUPS = {
    "ingest": ("gbif_download", "photos"),
    "dataset": tuple(f"table_{number:02}" for number in range(12)),
    "training": ("baseline",),
    "evaluation": ("specificity_knowledge_transfer",),
    "release": ("champion",),
}
"""As many assets as no window of 24 lines shows at a time."""


def sentence(asset: str, message: str) -> str:
    """Of `photos` its last message, of the others something long."""
    return message or f"{asset} holds 854 photographs of 62 species, which is more than a narrow window has room for"


def noisy() -> None:
    """Print as libraries do: in Python, to the descriptors, and in a child process."""
    print("a library's line")
    os.write(2, b"a native line\n")
    subprocess.run(["sh", "-c", "echo a child line >&2"], check=True)


def photos(context: dg.AssetExecutionContext, *, end: str) -> None:
    """Report progress as a fetch does, and end as it is told."""
    for done in (100, 300, 854):
        context.log.info("%d of 854 photographs, 42/s, 1.6 MB/s, about 3 s left", done)
        time.sleep(0.4)
    noisy()
    if end == "fail":
        raise GbifError("GBIF answered with a page, not with records; ask again later")
    if end == "full":
        raise OSError(28, "No space left on device")
    if end == "wait":
        time.sleep(WAIT_SECONDS)
    context.log.info("854 photographs of 62 species; 2 left out")


def _asset(name: str, *, group: str, after: str | None, act: Callable[..., None]) -> dg.AssetsDefinition:
    @dg.asset(name=name, group_name=group, deps=[after] if after else [])
    def made(context: dg.AssetExecutionContext) -> None:
        act(context)

    return made


def definitions(end: str) -> dg.Definitions:
    """One chain of assets in the five groups."""
    assets, before = [], None
    for group, names in GROUPS.items():
        for name in names:
            act = functools.partial(photos, end=end) if name == "photos" else lambda _: None
            assets.append(_asset(name, group=group, after=before, act=act))
            before = name
    return dg.Definitions(assets=assets, loggers={"console": console})


def main(folder: Path, end: str) -> int:
    """Run the pipeline as `naturewatch run` does, and return its exit status."""
    defs, failures, path = definitions(end), Failures(), folder / "logs" / "run.log"
    graph = defs.resolve_asset_graph()
    state = RunState.of(graph.get_all_asset_keys(), graph=graph, finding_of=sentence)
    job = defs.resolve_implicit_global_asset_job_def().with_hooks({failures.hook()})
    raise_on_signals()
    home = folder / "dagster"
    home.mkdir()
    with (
        logging_to(path) as log,
        dg.DagsterInstance.local_temp(str(home)) as instance,
        Watch(instance=instance, state=state, log=log, title="NatureWatch: sample"),
    ):
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags={RUN_TAG: path.name},
            run_config={"loggers": {"console": {"config": {"log_level": "INFO"}}}},
        )
        told = [] if result.success else failures.lines(result)
    for line in told:
        print(f"naturewatch: {line}", file=sys.stderr)
    return 1 if told else 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
    except Interrupted as interrupt:
        sys.exit(interrupt.status)
