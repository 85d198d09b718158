"""An event loop as a plain call: errors without their groups, and signals that end it."""

import asyncio
import os
import signal
from types import FrameType
from typing import Any

import pytest

from pipeline.errors import ChildError
from pipeline.fetching.loop import run


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([ValueError("a"), [OSError("b"), [ChildError("c")]]], ChildError),
        ([[[OSError("a")]], ValueError("b")], OSError),
        ([ValueError("a"), KeyError("b")], ValueError),
        ([ChildError("a"), [KeyboardInterrupt()]], KeyboardInterrupt),
    ],
)
def test_of_many_errors_the_one_that_tells_people_most_is_raised(errors: Any, told: type[BaseException]) -> None:  # noqa: ANN401
    def grouped(members: Any) -> BaseException:  # noqa: ANN401
        return BaseExceptionGroup("g", [grouped(each) for each in members]) if isinstance(members, list) else members

    async def fail() -> None:
        raise grouped(errors)

    with pytest.raises(told) as caught:
        run(fail())
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "nobody is shown the group"


def test_a_signal_whose_handler_raises_nothing_ends_the_loop_too() -> None:
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    async def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    before = signal.signal(signal.SIGTERM, note)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(interrupted())
        assert signal.getsignal(signal.SIGTERM) is note, "it is given back"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]
