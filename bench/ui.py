"""`naturewatch ui`: seconds until both UIs answer, resident memory, seconds from a signal to the last process gone."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from bench.harness import Goal, Report, median_and_spread

CHECKOUT = Path(__file__).resolve().parents[1]
READY_SECONDS, END_SECONDS = 300.0, 120.0
"""How long to wait for the servers, and for their end."""
SETTLE_SECONDS = 10.0
"""From the first answers until memory is read."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One start and end of the command."""

    ready_seconds: float
    resident_bytes: int
    """Summed over all processes."""
    processes: int
    end_seconds: float
    left: int
    """Processes that still ran `END_SECONDS` after the signal."""
    said: list[str]
    """Lines printed after the signal."""


def run(*, folder: Path, runs: int) -> Report:
    """Start the command on a data root in `folder`, and end it with each signal, `runs` times.

    Raises:
        RuntimeError: the servers do not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = os.getloadavg()[0]
    found = {number: [_measured(folder, number) for _ in range(runs)] for number in SIGNALS}
    rows = [
        {
            "ended by": number.name,
            "seconds to ready": median_and_spread([one.ready_seconds for one in each], digits=1),
            "resident MB": median_and_spread([one.resident_bytes / 1e6 for one in each]),
            "processes": median_and_spread([one.processes for one in each]),
            "seconds to the end": median_and_spread([one.end_seconds for one in each], digits=1),
            "processes left": max(one.left for one in each),
            "lines printed after the signal": max(len(one.said) for one in each),
        }
        for number, each in found.items()
    ]
    every = [one for each in found.values() for one in each]
    return Report(
        part="ui",
        title=(
            f"`naturewatch ui`, started {runs} times for each signal, with a load of {before:.0f} before and "
            f"{os.getloadavg()[0]:.0f} after; median (least to most)."
        ),
        rows=rows,
        goals=[
            Goal(name="resident MB", value=max(one.resident_bytes for one in every) / 1e6, bound=1800, kind="at most"),
            Goal(name="seconds to the end", value=max(one.end_seconds for one in every), bound=15, kind="at most"),
            Goal(name="processes left", value=float(max(one.left for one in every)), bound=0, kind="at most"),
        ],
        notes=[f"Memory is read {SETTLE_SECONDS:g} s after both UIs have answered, as the sum of resident sets."],
    )


def _measured(folder: Path, number: signal.Signals) -> Measured:
    ports = _free_ports()
    command = [sys.executable, "-m", "pipeline.commands.cli", "ui", "--port", str(ports[0]),
               "--mlflow-port", str(ports[1])]  # fmt: skip
    environment = {
        **os.environ, "NATUREWATCH__DATA_ROOT": str(folder / "data"), "PYTHONPATH": str(CHECKOUT),
        "NATUREWATCH_LAST_SCOPE": "",
    }  # fmt: skip
    started = time.monotonic()
    with subprocess.Popen(command, env=environment, cwd=CHECKOUT, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:  # fmt: skip
        said: list[str] = []
        assert process.stdout is not None  # noqa: S101 (asked for above)
        reader = threading.Thread(target=said.extend, args=(process.stdout,), daemon=True)
        reader.start()
        addresses = [f"http://127.0.0.1:{ports[0]}/server_info", f"http://127.0.0.1:{ports[1]}/health"]
        while not all(map(_answers, addresses)):
            if process.poll() is not None or time.monotonic() - started > READY_SECONDS:
                process.kill()
                raise RuntimeError(f"the UIs do not answer:\n{''.join(said)}")
            time.sleep(0.2)
        ready = time.monotonic() - started
        time.sleep(SETTLE_SECONDS)
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        resident = sum(one.memory_info().rss for one in tree)
        before, asked = len(said), time.monotonic()
        process.send_signal(number)
        _, left = psutil.wait_procs(tree, timeout=END_SECONDS)
        ended = time.monotonic() - asked
        for one in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        reader.join(timeout=5)
    return Measured(
        ready_seconds=ready, resident_bytes=resident, processes=len(tree), end_seconds=ended, left=len(left),
        said=said[before:],
    )  # fmt: skip


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=2).ok
    except requests.RequestException:
        return False


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]
