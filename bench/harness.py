"""How every part of the bench measures and reports: child processes, alternating repeats, medians, goals.

What is measured belongs to the modules beside this one; each has `run(*, folder, runs) -> Report`.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

RESULTS = Path(__file__).resolve().parent / "results"
"""Where reports are written: one JSON and one Markdown file per part."""
PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos.csv"
"""Labelled real photographs; they are no part of the project."""


class UnavailableError(Exception):
    """This machine cannot measure a part; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one run of one contestant cost."""

    wall_seconds: float
    cpu_seconds: float
    """User and system time of the process and all its descendants."""
    peak_rss_bytes: int
    """The largest resident memory, summed over the process and its descendants (sampled)."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """Further numbers that the run printed, by name."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A number that a part promises."""

    name: str
    value: float
    bound: float
    kind: Literal["at least", "at most"]

    @property
    def met(self) -> bool:
        """Whether the promise was kept."""
        return self.value >= self.bound if self.kind == "at least" else self.value <= self.bound


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of one part."""

    part: str
    title: str
    """One line: what was done, with how much of what."""
    rows: Sequence[Mapping[str, object]]
    """The table, a row per contestant; medians with their spread."""
    goals: Sequence[Goal]
    notes: Sequence[str] = ()
    """What a reader must know to judge the numbers."""
    further: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    """More tables, by their headings."""

    def write(self) -> Path:
        """Write `results/<part>.json` and `.md`; returns the latter."""
        RESULTS.mkdir(exist_ok=True)
        document = {
            "part": self.part,
            "title": self.title,
            "machine": machine(),
            "rows": [dict(row) for row in self.rows],
            "goals": [{**vars(goal), "met": goal.met} for goal in self.goals],
            "notes": list(self.notes),
            **(
                {"further": {name: [dict(row) for row in rows] for name, rows in self.further.items()}}
                if self.further
                else {}
            ),
        }
        (RESULTS / f"{self.part}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        path = RESULTS / f"{self.part}.md"
        path.write_text(self.markdown(), encoding="utf-8")
        return path

    def markdown(self) -> str:
        """The report for people."""
        lines = [f"# {self.part}", "", self.title, "", machine(), "", *_table(self.rows)]
        for heading, rows in self.further.items():
            lines += ["", f"## {heading}", "", *_table(rows)]
        lines += ["", "| goal | measured | bound | met |", "|---|---:|---:|---|"]
        lines += [
            f"| {goal.name} | {_cell(goal.value)} | {goal.kind} {_cell(goal.bound)} | {'yes' if goal.met else 'NO'} |"
            for goal in self.goals
        ]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines).rstrip() + "\n"


def measure(command: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> Sample:
    """Run a command to its end and return what it cost.

    The last line that it prints may be a JSON object of numbers: its `facts`.

    Raises:
        RuntimeError: the command failed; the end of its output is in the message.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    child = subprocess.Popen(
        list(command),
        env={**os.environ, **(environment or {})},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watch = _Watch(child.pid)
    said, _ = child.communicate()
    wall = time.perf_counter() - started
    peak = watch.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with status {child.returncode}:\n{said[-3000:]}")
    return Sample(
        wall_seconds=wall,
        cpu_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        peak_rss_bytes=peak,
        facts=_facts(said),
    )


def alternate(contestants: Mapping[str, Callable[[], Sample]], *, runs: int) -> dict[str, list[Sample]]:
    """Run all contestants in turn, `runs` times, so that a slower or faster machine affects all of them."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    for number in range(runs):
        for name, contestant in contestants.items():
            sample = contestant()
            samples[name].append(sample)
            print(f"run {number + 1}: {name}: {sample.wall_seconds:.1f} s, {sample.cpu_seconds:.1f} CPU s", flush=True)
    return samples


def fill_page_cache(folder: Path) -> None:
    """Fill free memory with the page cache, as on a machine that has been at work for a while.

    A virtual machine gets untouched memory from its host page by page, which can cost more than what is measured.
    """
    memory = psutil.virtual_memory().total
    sparse = folder / "sparse"
    with sparse.open("ab") as stream:
        stream.truncate(memory)
    buffer = bytearray(1 << 20)
    with sparse.open("rb", buffering=0) as stream:
        while stream.readinto(buffer):
            pass


def median_and_spread(values: Sequence[float], *, digits: int = 0) -> str:
    """`median (least to most)`."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def machine() -> str:
    """What the numbers were measured on."""
    model = platform.processor() or platform.machine()
    for line in (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else ()
    ):
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Python {platform.python_version()}"


class _Watch:
    """Samples the memory of a process tree from a thread."""

    def __init__(self, pid: int) -> None:
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, args=(pid,), daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End, and return the largest sum in bytes."""
        self._done.set()
        self._thread.join()
        return self._peak

    def _sample(self, pid: int) -> None:
        while not self._done.wait(0.05):
            try:
                root = psutil.Process(pid)
                tree = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            total = 0
            for process in tree:
                try:
                    total += process.memory_info().rss
                except (psutil.NoSuchProcess, psutil.ZombieProcess):
                    continue
            self._peak = max(self._peak, total)


def _facts(said: str) -> dict[str, float]:
    lines = said.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {}
    return {str(name): float(value) for name, value in json.loads(lines[-1]).items()}


def _table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(_cell(row.get(name, "")) for name in columns) + " |" for row in rows]


def _cell(value: object) -> str:
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 100
        else (f"{value:,.0f}" if isinstance(value, float) else str(value))
    )
