"""Shows a run to people while it goes on: a live table on a terminal, short lines elsewhere.

A thread reads Dagster's events from the instance: they are there whatever process a step runs in, and Dagster captures
what a step prints, so that nothing of a step can reach the terminal by itself.
"""

import contextlib
import datetime as dt
import os
import threading
import time
import traceback
from typing import ClassVar, Final, Self

import dagster as dg
from rich.console import Console
from rich.live import Live

from pipeline.commands.run_log import RunLog
from pipeline.commands.run_state import Asset, RunState, State, duration, short
from pipeline.commands.run_table import Size, live, whole
from pipeline.launching.interrupts import STOPPING, say

RUN_TAG: Final = "naturewatch.log"
"""Tag of a run: the name of its log file."""
DRAW_SECONDS: Final = 0.25
"""Between two pictures of the table; events are read as often."""
LINE_SECONDS: Final = 60.0
"""Between two lines about a step that goes on, where there is no terminal."""
BATCH: Final = 1000
"""Events that are read at a time."""


class Watch:
    """Follows one run and shows it. Used as a context: the last picture is drawn at its end."""

    current: ClassVar["Watch | None"] = None
    """The watch of this process, for `stopping`."""

    def __init__(self, *, instance: dg.DagsterInstance, state: RunState, log: RunLog, title: str) -> None:
        self._instance, self._state, self._log, self._title = instance, state, log, title
        self._run_id: str | None = None
        self._cursor: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="watch", daemon=True)
        self._says = ""
        self._told: dict[str, float] = {}
        self._console = Console(file=log.people, force_terminal=log.terminal, highlight=False, markup=False)
        self._live: Live | None = None
        self._size = Size(width=80, height=24)

    def __enter__(self) -> Self:
        """Begin to follow."""
        with contextlib.suppress(OSError):
            self._print(f"Log: {self._log.path}")
        if self._log.terminal:
            self._live = self._table()
        Watch.current = self
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Show the last events, and leave the whole table on the terminal."""
        self._ended.set()
        self._thread.join()
        Watch.current = None
        if self._live is not None:
            with contextlib.suppress(OSError):
                # The terminal may have been closed.
                self._live.stop()
                self._console.print(whole(self._state, width=self._size.width, now=time.time()))

    def stopping(self) -> None:
        """Say that the run stops."""
        self._says = STOPPING
        if self._live is None:
            with contextlib.suppress(OSError):
                self._print(f"naturewatch: {STOPPING}")

    def _follow(self) -> None:
        while True:
            # Looked at first: what was written before the end is read after it.
            ended = self._ended.is_set()
            try:
                self._read()
                with contextlib.suppress(OSError):
                    # Whoever looked is gone.
                    self._draw()
            except Exception:  # noqa: BLE001 (the run goes on without its picture; the log tells why)
                traceback.print_exc()
            if ended:
                return
            self._ended.wait(DRAW_SECONDS)

    def _read(self) -> None:
        """Take up the events that came since the last time."""
        if self._run_id is None:
            filters = dg.RunsFilter(tags={RUN_TAG: self._log.path.name})
            self._run_id = next(iter(self._instance.get_run_ids(filters=filters, limit=1)), None)
        more = self._run_id is not None
        while more:
            found = self._instance.get_records_for_run(str(self._run_id), cursor=self._cursor, limit=BATCH)
            self._cursor, more = found.cursor, found.has_more
            for record in found.records:
                for asset in self._state.apply(record.event_log_entry):
                    with contextlib.suppress(OSError):
                        self._line(asset, at=record.event_log_entry.timestamp)

    def _draw(self) -> None:
        now = time.time()
        if self._live is None:
            self._lines(now)
            return
        if self._window() != self._size:
            # The terminal has wrapped or moved the lines of the last picture: where it began is not known any more.
            self._live.stop()
            self._console.clear()
            self._live = self._table()
        says = self._says or self._state.note
        self._live.update(live(self._state, size=self._size, title=self._title, now=now, says=says), refresh=True)

    def _table(self) -> Live:
        """Begin a table at the cursor, in the window as it is now."""
        self._size = self._window()
        self._console.size = (self._size.width, self._size.height)
        table = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        table.start()
        return table

    def _line(self, asset: Asset, *, at: float) -> None:
        """One line about an asset that was made, or failed: in the log, and where there is no table."""
        words = f"failed: {asset.finding}" if asset.state is State.FAILED else asset.finding
        line = f"{_clock(at)} {asset.name:<18} {words} ({duration(asset.seconds)})"
        self._log.note(line)
        if self._live is None:
            self._print(line)

    def _lines(self, now: float) -> None:
        """A line a minute about what goes on, and one about what the whole run waits for."""
        note = self._state.note
        if note and note not in self._told:
            self._told[note] = now
            self._print(f"{_clock(now)} {note}")
        for asset in self._state.assets:
            if asset.state is not State.RUNNING or now - self._told.setdefault(asset.name, now) < LINE_SECONDS:
                continue
            self._told[asset.name] = now
            self._print(f"{_clock(now)} {asset.name:<18} {short(asset.message) or 'goes on'}")

    def _print(self, line: str) -> None:
        self._log.people.write(f"{line}\n")

    def _window(self) -> Size:
        """The window as it is now: a process that is not the terminal's own gets no signal when it changes."""
        try:
            width, height = os.get_terminal_size(self._log.people.fileno())
        except OSError:
            return Size(width=80, height=24)
        return Size(width=width or 80, height=height or 24)


def stopping() -> None:
    """Say that the run stops, beside the table if there is one."""
    if Watch.current is not None:
        Watch.current.stopping()
    else:
        say(STOPPING)


def _clock(seconds: float) -> str:
    return f"{dt.datetime.fromtimestamp(seconds):%H:%M:%S}"  # noqa: DTZ006 (people's own time)
