"""How a command ends: the status that a shell expects, one sentence, and no trace."""

import os
import signal
import subprocess
import sys

import pytest

from ml.command import describe, ending_well

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("number", "status", "told"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_in_a_sentence_and_its_status(
    capsys: Captured, number: signal.Signals, status: int, told: str
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def work() -> int:
        signal.raise_signal(number)
        raise AssertionError("the signal was not heard")

    assert ending_well(work) == status
    assert capsys.readouterr().err == f"naturewatch: {told}\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_whoever_reads_no_further_is_not_bothered() -> None:
    program = (
        "import sys; from ml.command import ending_well;"
        "sys.exit(ending_well(lambda: [sys.stdout.write('line\\n') for _ in range(1_000_000)] and 0))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == b"line\n"
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(timeout=120) == 141


def test_a_system_call_is_told_without_its_number() -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        open("/no/such/file")  # noqa: PTH123, SIM115 (its error is what is wanted)
    assert describe(caught.value) == "/no/such/file: No such file or directory"
    assert describe(ValueError("three are needed")) == "three are needed"
