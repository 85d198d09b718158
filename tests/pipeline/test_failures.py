"""The last lines of a run that failed: the errors made for people, each with its step."""

import json
from collections.abc import Callable

import dagster as dg
import pytest

from pipeline.defs.console import console
from pipeline.errors import GbifError, TableError
from pipeline.failures import Failures, reason
from pipeline.launching.interrupts import Interrupted


def caused(error: Exception, cause: BaseException) -> Exception:
    try:
        raise error from cause
    except type(error) as raised:
        return raised


def while_handling(error: Exception, first: Exception) -> Exception:
    try:
        try:
            raise first
        except type(first):
            raise error  # noqa: B904 (the context is the question)
    except type(error) as raised:
        return raised


READABLE = GbifError("GBIF answered with a page, not with records; ask again later")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (caused(READABLE, json.JSONDecodeError("Expecting value", "", 0)), str(READABLE)),
        (caused(READABLE, TableError("the table behind it")), str(READABLE)),
        (caused(RuntimeError("wrapping"), READABLE), str(READABLE)),
        (while_handling(RuntimeError("on the way out"), READABLE), str(READABLE)),
        (ExceptionGroup("unhandled errors", [ValueError("x"), ExceptionGroup("more", [READABLE])]), str(READABLE)),
        (caused(ExceptionGroup("unhandled errors", [ValueError("x")]), READABLE), str(READABLE)),
        (ExceptionGroup("unhandled errors", [OSError(28, "No space left on device")]),
         "the disk is full: make room below data_root, then run the same command again"),
        (caused(ValueError("what happened"), KeyError("far below")), "ValueError: what happened"),
        (TableError("two\n  lines"), "two lines"),
    ],
)  # fmt: skip
def test_the_error_made_for_people_that_is_nearest_the_surface_is_told(error: Exception, line: str) -> None:
    assert reason(error) == line


@pytest.fixture(scope="module")
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


def run(
    instance: dg.DagsterInstance, *assets: dg.AssetsDefinition, checks: tuple[dg.AssetChecksDefinition, ...] = ()
) -> list[str]:
    failures = Failures()
    defs = dg.Definitions(assets=assets, asset_checks=checks, loggers={"console": console})
    job = defs.resolve_implicit_global_asset_job_def().with_hooks({failures.hook()})
    config = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}
    return failures.lines(job.execute_in_process(instance=instance, raise_on_error=False, run_config=config))


def asset(name: str, act: Callable[[], object], *, after: str | None = None) -> dg.AssetsDefinition:
    @dg.asset(name=name, deps=[after] if after else [])
    def made() -> None:
        act()

    return made


def nothing() -> None:
    pass


def fails() -> None:
    raise READABLE


def test_every_step_that_failed_is_named_and_the_others_go_on(
    instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    told = run(
        instance, asset("one", fails), asset("two", lambda: 1 / 0), asset("three", lambda: done.append("three")),
        asset("below", lambda: done.append("below"), after="one"),
    )  # fmt: skip
    assert sorted(told) == [f"one: {READABLE}", "two: ZeroDivisionError: division by zero"]
    assert done == ["three"]
    said = capfd.readouterr().err
    assert "ZeroDivisionError" in said, "an error that nobody expected keeps its trace"
    assert "GbifError" not in said, "one made for people has none"


def test_a_warning_is_never_the_culprit(instance: dg.DagsterInstance) -> None:
    first = asset("photos", nothing)

    @dg.asset_check(asset=first, blocking=False)
    def near_duplicates() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)

    assert run(instance, first, asset("network", fails, after="photos"), checks=(near_duplicates,)) == [
        f"network: {READABLE}"
    ]


def test_a_blocking_check_is_named_with_what_is_broken(instance: dg.DagsterInstance) -> None:
    first = asset("split", nothing)

    @dg.asset_check(asset=first, blocking=True)
    def counts_add_up() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, metadata={"broken": dg.MetadataValue.md("- two\n- rows")})

    assert run(instance, first, asset("network", nothing, after="split"), checks=(counts_add_up,)) == [
        "split: the check counts_add_up failed: - two - rows"
    ]


@pytest.mark.parametrize(
    "interrupt",
    [
        KeyboardInterrupt(),
        BaseExceptionGroup("unhandled errors", [KeyboardInterrupt(), ValueError("x")]),
        BaseExceptionGroup("unhandled errors", [BaseExceptionGroup("more", [KeyboardInterrupt()])]),
    ],
)
def test_an_interrupt_is_no_failure_however_it_is_wrapped_and_ends_the_run(
    instance: dg.DagsterInstance, interrupt: BaseException
) -> None:
    done: list[str] = []

    def interrupted() -> None:
        raise interrupt

    with pytest.raises(Interrupted):
        run(instance, asset("a_first", interrupted), asset("b_second", lambda: done.append("second")))
    assert not done
