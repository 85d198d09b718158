"""Draws the state of a run for a terminal: groups and assets, as many lines as the window has. Knows no Dagster."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group
from rich.text import Text

from pipeline.commands.run_state import Asset, Progress, RunState, State, duration, short

SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
TURNS: Final = 4
"""Steps of the spinner in a second."""
MARKS: Final = {State.WAITING: ("·", "dim"), State.DONE: ("✓", "green"), State.FAILED: ("✗", "red")}
NARROW: Final = 18
"""Columns of names, at least; a group with longer names takes more."""
TIME: Final = 8
"""Columns of times."""
WIDEST: Final = 110
"""Columns of the table, at most: in a wider window the eye would lose the line."""
BAR: Final = 24
"""Columns of the bar."""
CALLED: Final = {
    "ingest": "records and photographs from the source",
    "dataset": "species, taxonomy and split",
    "training": "the networks",
    "evaluation": "how far each network can be trusted",
    "release": "the model that is served",
}
"""What each group makes."""
LAST_WORD: Final = {"ingest": "photos", "dataset": "split", "evaluation": "comparison", "release": "champion"}
"""Whose finding stands for a group that is folded into one line."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Columns and lines of a window."""

    width: int
    height: int


def live(state: RunState, *, size: Size, title: str, now: float, says: str = "") -> Group:
    """The table while the run goes on, never higher than the window.

    Groups are folded into one line each until it fits: first those that are done, then those that wait, then the
    others, of which the running assets stay.

    Args:
        state: The run.
        size: The window.
        title: The first line.
        now: The present time, in seconds since the epoch.
        says: The last line, if any.
    """
    done, columns = state.count(State.DONE), min(size.width, WIDEST)
    head = _sides(
        Text(title, style="bold"), Text(f"{done} of {len(state.assets)} assets   {duration(now - state.began)}"),
        width=columns,
    )  # fmt: skip
    tail = [_cut(Text(says, style="yellow"), columns)] if says else []
    # The cursor waits on a line of its own: where Ctrl-C is echoed, nothing may be wrapped. Another one stays free:
    # at the end Rich goes to the next line, and the window must not scroll.
    room = size.height - 3 - len(tail)
    for folded in range(4):
        body = list(_body(state, width=columns, now=now, folded=folded))
        if len(body) <= room:
            break
    return Group(head, *body[: max(room, 0)], *tail, Text())


def whole(state: RunState, *, width: int, now: float) -> Group:
    """The table of a run that has ended, in full: long sentences go on in the next line.

    Groups that the run did not reach are one line each.
    """
    lines: list[Text] = []
    width = min(width, WIDEST)
    for group, assets in state.groups():
        lines.append(_group_line(group, assets, width=width, now=now))
        if not any(asset.finding or asset.state is not State.WAITING for asset in assets):
            continue
        names = _names(assets)
        for asset in assets:
            lines += _asset_lines(asset, names=names, width=width, now=now, wrap=True)
    return Group(*lines)


def _body(state: RunState, *, width: int, now: float, folded: int) -> Iterator[Text]:
    for group, assets in state.groups():
        states = {asset.state for asset in assets}
        shown: Sequence[Asset] = assets
        if (folded >= 1 and states == {State.DONE}) or (folded >= 2 and states == {State.WAITING}):
            shown = ()
        elif folded >= 3:
            shown = [asset for asset in assets if asset.state in {State.RUNNING, State.FAILED}]
        yield _group_line(group, assets, width=width, now=now, folded=not shown)
        for asset in shown:
            yield from _asset_lines(asset, names=_names(assets), width=width, now=now)


def _names(assets: Sequence[Asset]) -> int:
    return max(NARROW, *(len(asset.name) for asset in assets))


def _group_line(group: str, assets: Sequence[Asset], *, width: int, now: float, folded: bool = False) -> Text:
    done = sum(asset.state is State.DONE for asset in assets)
    mark, style = (" ", "")
    words = CALLED[group]
    if folded and done == len(assets):
        mark, style = MARKS[State.DONE]
        words = next((asset.finding for asset in assets if asset.name == LAST_WORD.get(group)), "") or words
    began = [asset.began for asset in assets if asset.began]
    # Assets of one step, and steps side by side, have taken their time once.
    spent = max((_ended(asset, now) for asset in assets if asset.began), default=0.0) - min(began, default=0.0)
    left = Text.assemble((f"{mark} ", style), (f"{group.capitalize():<{NARROW + 4}}", "bold"), (words, "dim"))
    right = f"{done} of {len(assets)}" if done < len(assets) else duration(spent)
    return _sides(left, Text(right, style="dim"), width=width)


def _ended(asset: Asset, now: float) -> float:
    return now if asset.state is State.RUNNING else asset.began + asset.seconds


def _asset_lines(asset: Asset, *, names: int, width: int, now: float, wrap: bool = False) -> Iterator[Text]:
    running = asset.state is State.RUNNING
    mark, style = (SPINNER[int(now * TURNS) % len(SPINNER)], "cyan") if running else MARKS[asset.state]
    seconds = now - asset.began if running else asset.seconds
    shows_time = running or (asset.state in {State.DONE, State.FAILED} and asset.began)
    start = Text.assemble("  ", (f"{mark} ", style), (f"{asset.name:<{names}}", style if running else ""), "  ")
    words = Text(_words(asset), style="red" if asset.state is State.FAILED else "")
    right = Text(duration(seconds) if shows_time else "", style="dim")
    room = width - len(start) - TIME
    if wrap and words.cell_len > room > 10:
        first, *others = _wrapped(words, room)
        yield _sides(start + first, right, width=width)
        yield from (Text(" " * len(start)) + other for other in others)
    else:
        yield _sides(start + words, right, width=width)
    if running and asset.progress is not None:
        yield _cut(Text(" " * len(start)) + _bar(asset.progress, now=now, columns=min(BAR, room - 22)), width)


def _words(asset: Asset) -> str:
    if asset.state is not State.RUNNING:
        return asset.finding
    progress = asset.progress
    if progress is None:
        return short(asset.message)
    counted = f"{progress.done:,} of {progress.total:,} {progress.unit}"
    return f"{counted}, {progress.note}" if progress.note else counted


def _bar(progress: Progress, *, now: float, columns: int) -> Text:
    share = min(1.0, progress.done / progress.total) if progress.total else 1.0
    full = round(max(columns, 1) * share)
    left = progress.seconds_left()
    # Between two messages the time left goes on to shrink.
    waited = max(0.0, now - progress.now)
    words = f" {share:4.0%}" + (f", {duration(max(1.0, left - waited))} left" if left and share < 1 else "")
    return Text.assemble(("━" * full, "cyan"), ("━" * (max(columns, 1) - full), "bright_black"), words)


def _sides(left: Text, right: Text, *, width: int) -> Text:
    """One line, with `right` at its end; `left` is cut where there is no room for both."""
    room = width - right.cell_len - (2 if right.cell_len else 0)
    left = _cut(left, room)
    return left + Text(" " * (width - left.cell_len - right.cell_len)) + right


def _cut(text: Text, width: int) -> Text:
    cut = text.copy()
    cut.truncate(max(width, 1), overflow="ellipsis")
    cut.no_wrap = True
    return cut


def _wrapped(text: Text, width: int) -> list[Text]:
    return [Text(line, style=text.style) for line in textwrap.wrap(text.plain, width)]
