"""What is known of a running pipeline: the state of each asset, made from Dagster's events. Prints nothing."""

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from pipeline.failures import INTERRUPTS, written_reason

GROUPS: Final = ("ingest", "dataset", "training", "evaluation", "release")
"""The groups of assets, in the order of the flow."""

PROGRESS: Final = re.compile(
    r"(?P<before>.*?)(?P<done>\d[\d,]*)(?: of |/)(?P<total>\d[\d,]*) (?P<unit>[a-z]+)(?:, (?P<note>.*))?"
)
"""A message that says how far a step has come, as `1,204 of 8,000 photographs, 250/s` and `head: 12/80 photographs`."""
LEFT: Final = re.compile(r"(?:^|, )about [\d,.]+ s left")
"""What a message says of the time left; it is reckoned here, from the last messages of any step."""
EPOCH: Final = re.compile(
    r"(?P<epoch>epoch \d+): loss [\d.]+, accuracy (?P<right>[\d.]+%).*?(?:, (?P<speed>[\d.]+ photographs a second)|$)"
)
"""What a training says at the end of an epoch."""
WAITS: Final = "waits for a slot"
"""In the message of a step that another run holds up (`pipeline.launching.pools`)."""


class State(Enum):
    """What became of an asset."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(kw_only=True)
class Progress:
    """How far a running step has come."""

    done: int
    total: int
    unit: str
    note: str
    began: float
    """When the first message came, with `first` done by then."""
    first: int
    now: float
    """When the last message came."""

    def seconds_left(self) -> float | None:
        """At the rate since the first message; None before there is one."""
        rate = (self.done - self.first) / (self.now - self.began) if self.now > self.began else 0.0
        return (self.total - self.done) / rate if rate > 0 else None


@dataclass(kw_only=True)
class Asset:
    """One selected asset."""

    name: str
    group: str
    step: str
    """The step that makes it, with others perhaps."""
    state: State = State.WAITING
    began: float = 0.0
    seconds: float = 0.0
    finding: str = ""
    """What it holds, in one sentence; why it failed."""
    message: str = ""
    """What its step said last."""
    progress: Progress | None = None


@dataclass(kw_only=True)
class RunState:
    """All selected assets, in the order of the flow."""

    assets: Sequence[Asset]
    finding_of: Callable[[str, str], str]
    """The sentence about a finished asset, from its name and the last message of its step."""
    began: float = field(default_factory=time.time)
    note: str = ""
    """What the whole run waits for, if anything."""

    @classmethod
    def of(
        cls, keys: Collection[dg.AssetKey], *, graph: AssetGraph, finding_of: Callable[[str, str], str]
    ) -> "RunState":
        """The state of a run of these assets, before it begins."""
        nodes = [graph.get(key) for key in graph.toposorted_asset_keys if key in keys]
        assets = [
            Asset(name=node.key.to_user_string(), group=node.group_name, step=node.assets_def.node_def.name)
            for node in nodes
        ]
        return cls(assets=sorted(assets, key=lambda asset: GROUPS.index(asset.group)), finding_of=finding_of)

    def groups(self) -> Iterator[tuple[str, list[Asset]]]:
        """The groups that are part of the run, with their assets."""
        for group in GROUPS:
            if members := [asset for asset in self.assets if asset.group == group]:
                yield group, members

    def count(self, *states: State) -> int:
        """How many assets are in one of these states."""
        return sum(asset.state in states for asset in self.assets)

    def apply(self, entry: dg.EventLogEntry) -> list[Asset]:
        """Take up what an event tells; the assets that it finished, or that failed."""
        event = entry.dagster_event
        if event is not None and event.step_key is None and WAITS in entry.user_message:
            self.note = entry.user_message
        concerned = [asset for asset in self.assets if asset.step == entry.step_key]
        if not concerned:
            return []
        if event is None:
            for asset in concerned:
                _said(asset, entry)
            return []
        return self._took_place(event, concerned, at=entry.timestamp)

    def _took_place(self, event: dg.DagsterEvent, concerned: list[Asset], *, at: float) -> list[Asset]:
        match event.event_type:
            case dg.DagsterEventType.STEP_START:
                self.note = ""
                for asset in concerned:
                    asset.state, asset.began = State.RUNNING, at
            case dg.DagsterEventType.STEP_SUCCESS:
                for asset in concerned:
                    finding = self.finding_of(asset.name, asset.message)
                    _end(asset, State.DONE, at=at, finding=finding)
                return concerned
            case dg.DagsterEventType.STEP_FAILURE:
                error = event.step_failure_data.error
                # An interrupted step did not fail: the next run goes on with it.
                broken = error if error is not None and error.cls_name not in INTERRUPTS else None
                why = written_reason(broken) if broken else "interrupted"
                for asset in concerned:
                    _end(asset, State.FAILED if broken else State.WAITING, at=at, finding=why)
                return concerned if broken else []
        return []


def short(message: str) -> str:
    """What a step said, as short as a table needs it: of an epoch its number, the accuracy and the speed."""
    found = EPOCH.match(message)
    if found is None:
        return message
    return ", ".join(part for part in (found["epoch"], f"{found['right']} right", found["speed"]) if part)


def duration(seconds: float) -> str:
    """A time for people: `0.4 s`, `33 s`, `2:05`, `3:02:00`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _said(asset: Asset, entry: dg.EventLogEntry) -> None:
    """Take up a message of a step."""
    asset.message = " ".join(entry.user_message.split())
    found = PROGRESS.fullmatch(asset.message)
    if found is None:
        if EPOCH.match(asset.message):
            asset.progress = None
        return
    done, total = (int(found[name].replace(",", "")) for name in ("done", "total"))
    unit, note = found["unit"], LEFT.sub("", found["note"] or "")
    before = asset.progress
    goes_on = before is not None and before.total == total and before.done <= done
    asset.progress = Progress(
        done=done, total=total, unit=unit, note=note, now=entry.timestamp,
        began=before.began if goes_on and before is not None else entry.timestamp,
        first=before.first if goes_on and before is not None else done,
    )  # fmt: skip


def _end(asset: Asset, state: State, *, at: float, finding: str) -> None:
    asset.state, asset.finding, asset.progress = state, finding, None
    asset.seconds = at - asset.began if asset.began else 0.0
