"""The MLflow run of a child process, nested in the run of the dataset version, and found again after a retry.

Runs are found by tags (`naturewatch.stage`, `naturewatch.spec_hash`) so that a retried step continues its run.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.csv
import pyarrow.parquet as pq

from ml.errors import InterruptedTrainingError, TrackingError
from ml.spec import MLFLOW_DEFAULTS, TrackingSpec, run_name, sqlite_file

os.environ.update({**MLFLOW_DEFAULTS, **os.environ})

from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.tracking import MlflowClient

SYSTEM_METRICS_SECONDS = 5.0
"""Between two samples of processor, memory and disk."""
CSV_ROWS = 10_000
"""Tables of at most so many rows are stored as CSV, too: MLflow's UI shows no Parquet."""


class ChildRun:
    """One run of MLflow that this process writes to."""

    def __init__(self, *, client: MlflowClient, run_id: str) -> None:
        """Write to the run `run_id` through `client`."""
        self.client = client
        self.run_id = run_id

    def log_params(self, params: Mapping[str, object]) -> None:
        """Log parameters that the run does not have yet: they are write-once, and a retry finds them there.

        Raises:
            TrackingError: the run already holds another value under one of the names.
        """
        known = self.client.get_run(self.run_id).data.params
        wanted = {key: str(value)[:500] for key, value in params.items()}
        changed = [key for key, value in wanted.items() if known.get(key, value) != value]
        if changed:
            raise TrackingError(
                f"MLflow run {self.run_id} was logged with other values of {', '.join(changed)}; "
                "the specification's hash must cover them, or delete that run"
            )
        new = [Param(key, value) for key, value in wanted.items() if key not in known]
        self.client.log_batch(self.run_id, params=new)

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Log numbers at `step` in one request."""
        now = int(time.time() * 1000)
        self.client.log_batch(self.run_id, metrics=[Metric(key, value, now, step) for key, value in metrics.items()])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set or overwrite tags."""
        self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def log_file(self, path: Path, *, folder: str | None = None) -> None:
        """Store the file `path` with the run, in `folder` of its artifacts."""
        self.client.log_artifact(self.run_id, str(path), artifact_path=folder)

    def log_table(self, path: Path) -> None:
        """Store the Parquet file `path` with the run, and a small one as CSV beside it."""
        self.log_file(path)
        if pq.read_metadata(path).num_rows <= CSV_ROWS:
            with TemporaryDirectory(prefix="naturewatch-") as folder:
                text = Path(folder) / f"{path.stem}.csv"
                pyarrow.csv.write_csv(pq.read_table(path), text)
                self.log_file(text)

    def log_figure(self, path: Path) -> None:
        """Store a picture under `figures`."""
        self.log_file(path, folder="figures")


@contextlib.contextmanager
def child_run(tracking: TrackingSpec, *, spec_hash: str, system_metrics: bool = False) -> Iterator[ChildRun]:
    """Continue the run of this stage and specification, or start it.

    The run ends as FINISHED, as FAILED on an error, or as KILLED on an interrupt.

    Args:
        tracking: Where to log, and which run to nest in.
        spec_hash: Content version of the stage's inputs.
        system_metrics: Also sample processor, memory and disk while the block runs.

    Yields:
        The run to write to.
    """
    client = MlflowClient(tracking_uri=tracking.uri, registry_uri=tracking.uri)
    run_id = find_run(client, tracking=tracking, spec_hash=spec_hash)
    resumed = run_id is not None
    if run_id is None:
        run_id = _start(client, tracking=tracking, spec_hash=spec_hash)
    name = run_name(
        scope=tracking.scope,
        title=tracking.title or tracking.stage,
        started_ms=client.get_run(run_id).info.start_time,
    )
    client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING), name=name)
    run = ChildRun(client=client, run_id=run_id)
    run.set_tags(tracking.tags)
    monitor = _monitor(run_id, uri=tracking.uri, resumed=resumed) if system_metrics else None
    try:
        yield run
    except (KeyboardInterrupt, SystemExit, InterruptedTrainingError):
        client.set_terminated(run_id, status=RunStatus.to_string(RunStatus.KILLED))
        raise
    except BaseException:
        client.set_terminated(run_id, status=RunStatus.to_string(RunStatus.FAILED))
        raise
    else:
        client.set_terminated(run_id)
    finally:
        if monitor is not None:
            monitor.finish()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def told(tracking: TrackingSpec) -> Iterator[None]:
    """Raise what MLflow raises as an error that says which store it was.

    Raises:
        TrackingError: in the place of an `MlflowException`.
    """
    try:
        yield
    except MlflowException as error:
        raise TrackingError(f"MLflow at {tracking.uri} did not take the run: {error}") from error


def find_run(client: MlflowClient, *, tracking: TrackingSpec, spec_hash: str) -> str | None:
    """The identifier of the run that logged this stage of this specification, if there is one."""
    found = client.search_runs(
        [experiment_id(client, tracking=tracking)],
        filter_string=(
            f"tags.`naturewatch.stage` = '{tracking.stage}' and tags.`naturewatch.spec_hash` = '{spec_hash}' "
            f"and tags.`mlflow.parentRunId` = '{tracking.parent_run_id}'"
        ),
        max_results=1,
    )
    return str(found[0].info.run_id) if found else None


def experiment_id(client: MlflowClient, *, tracking: TrackingSpec) -> str:
    """The experiment's identifier; it is made when missing, as when a child is run by hand."""
    experiment = client.get_experiment_by_name(tracking.experiment)
    if experiment is not None:
        return str(experiment.experiment_id)
    location = None
    database = sqlite_file(tracking.uri)
    if database is not None:
        # Without a location, MLflow writes artifacts below the working directory.
        location = (database.absolute().parent / "mlartifacts").as_uri()
    try:
        return str(client.create_experiment(tracking.experiment, artifact_location=location))
    except MlflowException:
        # Another child made it in the meantime; anything else is a real error.
        experiment = client.get_experiment_by_name(tracking.experiment)
        if experiment is None:
            raise
        return str(experiment.experiment_id)


def _start(client: MlflowClient, *, tracking: TrackingSpec, spec_hash: str) -> str:
    run = client.create_run(
        experiment_id(client, tracking=tracking),
        tags={
            "naturewatch.stage": tracking.stage,
            "naturewatch.spec_hash": spec_hash,
            "mlflow.parentRunId": tracking.parent_run_id,
        },
    )
    return str(run.info.run_id)


def _monitor(run_id: str, *, uri: str, resumed: bool) -> SystemMetricsMonitor:
    monitor = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
        run_id, sampling_interval=SYSTEM_METRICS_SECONDS, resume_logging=resumed, tracking_uri=uri
    )
    monitor.start()  # type: ignore[no-untyped-call]
    return monitor
