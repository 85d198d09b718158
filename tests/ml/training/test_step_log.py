"""Numbers of steps on their way to MLflow: means over the steps, in order, while training goes on; errors come back."""

import threading
from typing import cast

import pytest

from ml.child.tracking import ChildRun
from ml.errors import TrackingError
from ml.training.step_log import StepLog


class Store:
    """Takes the place of MLflow: slow, or broken."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.broken = False
        self.taken: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], *, step: int) -> None:
        assert self.ready.wait(timeout=60)
        if self.broken:
            raise TrackingError("no store")
        self.taken.append((step, metrics))


def add(log: StepLog, steps: range) -> None:
    for step in steps:
        log.add(step=step, loss=float(step), norm=10.0 * step, rate=0.1 / step)


def test_means_over_so_many_steps_are_sent() -> None:
    store = Store()
    store.ready.set()
    log = StepLog(cast("ChildRun", store), every=2)
    for begin in (1, 3):
        add(log, range(begin, begin + 2))
        log.wait()
    add(log, range(5, 6))
    log.close()
    assert store.taken == [
        (2, {"step/loss": 1.5, "step/gradient_norm": 15.0, "step/learning_rate": 0.05}),
        (4, {"step/loss": 3.5, "step/gradient_norm": 35.0, "step/learning_rate": 0.025}),
    ]


def test_steps_do_not_wait_for_a_slow_store() -> None:
    store = Store()
    log = StepLog(cast("ChildRun", store), every=2)
    add(log, range(1, 8))
    assert store.taken == []
    store.ready.set()
    log.wait()
    add(log, range(8, 9))
    log.wait()
    log.close()
    assert [(step, numbers["step/loss"]) for step, numbers in store.taken] == [(2, 1.5), (8, 5.5)], "none is left out"


def test_what_the_store_raises_ends_training_at_the_next_step() -> None:
    store = Store()
    store.broken = True
    store.ready.set()
    log = StepLog(cast("ChildRun", store), every=1)
    add(log, range(1, 2))
    with pytest.raises(TrackingError, match="no store"):
        log.wait()
    log.close()


def test_nothing_is_logged_without_a_run() -> None:
    log = StepLog(None, every=1)
    add(log, range(1, 3))
    log.wait()
    log.close()
