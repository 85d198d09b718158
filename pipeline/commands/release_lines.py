"""What the end of a run says of the release: how the network came about, in how many steps, and what the gate said."""

from collections.abc import Iterator

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.comparison.wording import counted
from pipeline.config.settings import Settings
from pipeline.errors import ChildError
from pipeline.exam.decision import read_decision
from pipeline.production.record import Production


def production_lines(settings: Settings) -> Iterator[str]:
    """The training that is released, what it began with, its steps, and why this one.

    Raises:
        TableError: `production.json` cannot be read.
    """
    record = Production.read(settings.paths)
    began = {
        "adopted": "of the comparison, trained from nothing",
        "continued": f"continued from version {record.ancestor}",
        "full": "trained from nothing",
    }
    yield f"Production: the network {record.network}, {began[record.how]}"
    try:
        result = record.training(settings.paths)
    except ChildError as error:
        yield f"  its results cannot be read: {error}"
    else:
        steps = pc.max(pq.read_table(result.history, columns=["step"])["step"]).as_py() or 0
        yield f"  {counted(steps, 'step')}; species right in {result.metrics['top1']:.1%} of its validation photographs"
    yield f"  {record.reason}"
    yield ""


def refusal(settings: Settings, *, since: float) -> list[str]:
    """What a run says that ended because the gate refused the challenger; nothing of any other run.

    Args:
        settings: The configuration.
        since: When the run began, in seconds since the epoch.

    Raises:
        RegistryError: the decision cannot be read.
        TableError: `production.json` cannot be read.
    """
    decided = settings.paths.exam_decision
    if not decided.exists() or decided.stat().st_mtime < since or read_decision(settings).passed:
        return []
    return [*production_lines(settings), *gate_lines(settings)]


def gate_lines(settings: Settings) -> Iterator[str]:
    """What the gate said of the challenger, a line for each metric with its interval.

    Raises:
        RegistryError: there is no decision that can be read.
    """
    decision = read_decision(settings)
    against = "as the first version" if decision.champion is None else f"against version {decision.champion}"
    verdict = "passed" if decision.passed else "was refused"
    yield f"Gate: version {decision.challenger} {verdict} {against}, on version {decision.exam} of the exam"
    for reason in (*decision.reasons, *decision.notes):
        yield f"  {reason}"
    yield ""
