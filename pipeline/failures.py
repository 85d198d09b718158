"""What went wrong in a run: one line per failed step, for people."""

from collections.abc import Iterator, Sequence

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import RunFailureReason
from dagster_shared.error import SerializableErrorInfo

from pipeline.errors import NatureWatchError
from pipeline.launching.interrupts import Interrupted

INTERRUPTS = {"DagsterExecutionInterruptedError", "KeyboardInterrupt", "Interrupted"}
"""Names of the errors of a step that a signal ended."""

FULL = ("no space left on device", "disk is full", "disk quota exceeded", "not enough space")
"""How the system, SQLite and DuckDB say that nothing can be written any more."""


class Failures:
    """The errors of the steps that failed, as they were raised: Dagster's events keep only their text."""

    def __init__(self) -> None:
        self._errors: dict[str, BaseException] = {}

    def hook(self) -> dg.HookDefinition:
        """The hook that Dagster calls after a step has failed."""

        @dg.failure_hook(name="remember_the_error")
        def remember(context: dg.HookContext) -> None:
            error = context.op_exception
            if error is None:
                return
            self._errors[context.step_key] = error
            if _is_interrupt(error):
                # Inside a group of errors an interrupt would count as a failure, and other steps would go on.
                raise DagsterExecutionInterruptedError

        return remember

    def lines(self, result: dg.ExecuteInProcessResult | dg.JobExecutionResult) -> list[str]:
        """One line per failure; of steps in processes of their own, as Dagster's events tell it.

        Raises:
            Interrupted: the run was interrupted, and did not fail.
        """
        if any(_is_interrupt(error) for error in self._errors.values()):
            raise Interrupted
        checks, elsewhere = _written(result.all_events)
        told = {step: f"{step}: {reason(error)}" for step, error in self._errors.items()}
        told = {**elsewhere, **told, **checks}
        return list(told.values()) or [_run_failure(result.all_events, run_id=result.run_id)]


def written_lines(events: Sequence[dg.DagsterEvent], *, run_id: str) -> list[str]:
    """One line per failure of a run of which only Dagster's events are left; never empty.

    Raises:
        Interrupted: the run was interrupted, and did not fail.
    """
    checks, elsewhere = _written(events)
    return list({**elsewhere, **checks}.values()) or [_run_failure(events, run_id=run_id)]


def _written(events: Sequence[dg.DagsterEvent]) -> tuple[dict[str, str], dict[str, str]]:
    """The failures that events tell, by step: those of blocking checks, and those of steps.

    Raises:
        Interrupted: an event says that the run was interrupted.
    """
    checks: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION and event.step_key is not None:
            data = event.asset_check_evaluation_data
            if not data.passed and data.blocking and data.severity == dg.AssetCheckSeverity.ERROR:
                broken = data.metadata.get("broken")
                detail = _one_line(str(broken.value)) if broken else "no detail"
                asset = data.asset_key.to_user_string()
                checks[event.step_key] = f"{asset}: the check {data.check_name} failed: {detail}"
        elif was_interrupted(event):
            raise Interrupted
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE and event.step_key is not None:
            written = event.step_failure_data.error
            if written is not None:
                if any(each.cls_name in INTERRUPTS for each in _written_chain(written)):
                    raise Interrupted
                elsewhere[event.step_key] = f"{event.step_key}: {written_reason(written)}"
    return checks, elsewhere


def reason(error: BaseException) -> str:
    """An error in one line: the message of the outermost `NatureWatchError` in its chain, if there is one.

    A full disk is told as such, whoever noticed it: a table, DuckDB, Dagster's own storage.
    """
    first = error
    for found in _chain(error):
        if isinstance(found, NatureWatchError) and not _tells_full_disk(str(found)):
            return _one_line(str(found))
        if _tells_full_disk(str(found)):
            return _full_disk(getattr(found, "filename", None))
        if isinstance(first, dg.DagsterError | BaseExceptionGroup):
            # Only wraps what happened.
            first = found
    return f"{type(first).__name__}: {_one_line(str(first))}"


def written_reason(error: SerializableErrorInfo) -> str:
    """As `reason`, of an error of another process, of which Dagster keeps the words."""
    chain = list(_written_chain(error))
    if any(_tells_full_disk(each.message) for each in chain):
        return _full_disk(None)
    ours = {cls.__name__ for cls in _subclasses(NatureWatchError)}
    own = [each for each in chain if each.cls_name in ours]
    # Dagster wraps what happened.
    first = (own or [each for each in chain if not (each.cls_name or "").startswith("Dagster")] or chain)[0]
    words = _one_line(first.message)
    if not own:
        return words
    _, found, said = words.partition(f"{first.cls_name}: ")
    return said if found else words


def _written_chain(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    """An error and what it came from, the outermost first."""
    while error is not None:
        yield error
        error = error.cause or error.context


def _subclasses(cls: type[BaseException]) -> Iterator[type[BaseException]]:
    for each in cls.__subclasses__():
        yield each
        yield from _subclasses(each)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes, the outermost first; of a group, each member with its causes."""
    seen: set[int] = set()
    level = [error]
    while level:
        below: list[BaseException] = []
        for each in level:
            if id(each) in seen:
                continue
            seen.add(id(each))
            yield each
            inner = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
            # Dagster also keeps what an asset raised in an attribute.
            own = getattr(each, "user_exception", None)
            behind = own or each.__cause__ or (None if each.__suppress_context__ else each.__context__)
            below += [*inner, *([behind] if behind is not None else [])]
        level = below


def _is_interrupt(error: BaseException) -> bool:
    return any(isinstance(each, KeyboardInterrupt | DagsterExecutionInterruptedError) for each in _chain(error))


def was_interrupted(event: dg.DagsterEvent) -> bool:
    """Whether the event ends a run that a signal interrupted between two steps."""
    return (
        event.event_type == dg.DagsterEventType.RUN_FAILURE
        # A run that was marked as failed from outside has none.
        and event.event_specific_data is not None
        and event.job_failure_data.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION
    )


def _run_failure(events: Sequence[dg.DagsterEvent], *, run_id: str) -> str:
    """Why a run failed although no step did: what prevented a step from starting."""
    for event in events:
        if event.event_type != dg.DagsterEventType.RUN_FAILURE:
            continue
        error = event.job_failure_data.error if event.event_specific_data is not None else None
        if error is not None:
            return _one_line(error.message.removeprefix(f"{error.cls_name}: ").removeprefix("pipeline.errors."))
        if event.message:
            return _one_line(event.message)
    return f"run {run_id} failed; see it in the Dagster UI"


def _tells_full_disk(message: str) -> bool:
    """Whether a message, of whatever library, says that a disk or an account's share of it is full."""
    return any(words in message.lower() for words in FULL)


def _full_disk(file: object) -> str:
    where = f" (writing {file})" if file else ""
    return f"the disk is full{where}: make room below data_root, then run the same command again"


def _one_line(text: str) -> str:
    return " ".join(text.split())
