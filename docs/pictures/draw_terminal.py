"""Draws what the terminal shows of the last `naturewatch run` of a scope: during and after it, in 80 and 140 columns.

    .venv/bin/python -m docs.pictures.draw_terminal [--config FILE] [--at multi_view] [--output docs/pictures]

The events of the run are read from its Dagster instance and drawn by the command's own code; `terminal-*.svg` are
Rich's drawings of it, `terminal-*.png` the same drawn by Chromium, where it is installed.
"""

import argparse
import functools
import io
import re
import shutil
import subprocess
from pathlib import Path

import dagster as dg
from rich.console import Console

from docs.pictures.take_pages import packed
from pipeline.commands.dagster_home import prepare_dagster_home
from pipeline.commands.findings import finding_or_nothing
from pipeline.commands.run_state import RunState
from pipeline.commands.run_table import Size, live, whole
from pipeline.commands.run_watch import RUN_TAG
from pipeline.commands.summary import print_summary
from pipeline.config.settings import Settings, load_settings
from pipeline.definitions import defs

WINDOWS = (Size(width=80, height=24), Size(width=140, height=40))
"""The windows that are drawn."""


def recorder(width: int) -> Console:
    """A terminal that keeps what is printed on it."""
    return Console(record=True, width=width, file=io.StringIO(), force_terminal=True, highlight=False, markup=False)


def replayed(events: list[dg.EventLogEntry], settings: Settings, *, until: float) -> RunState:
    """The state of the run at a time."""
    graph = defs.resolve_asset_graph()
    made = {entry.dagster_event.asset_key for entry in events if entry.dagster_event and entry.dagster_event.asset_key}
    keys = [key for key in graph.get_all_asset_keys() if key in made]
    state = RunState.of(keys, graph=graph, finding_of=functools.partial(finding_or_nothing, settings))
    state.began = events[0].timestamp
    for entry in events:
        if entry.timestamp <= until:
            state.apply(entry)
    return state


def moment(events: list[dg.EventLogEntry], step: str) -> float:
    """The time half-way through a step."""
    between = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS}
    times = [
        entry.timestamp
        for entry in events
        if entry.step_key == step and entry.dagster_event and entry.dagster_event.event_type in between
    ]
    if not times:
        raise SystemExit(f"the last run has no step {step}")
    return (times[0] + times[-1]) / 2


def save(console: Console, *, path: Path) -> None:
    """Write what was printed as SVG, without the fonts that Rich would fetch, and as PNG."""
    # Rich cuts the descenders of the last line.
    console.print()
    svg = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="naturewatch run"), flags=re.DOTALL)
    path.write_text(svg, encoding="utf-8")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is not None:
        width, height = (round(float(number)) for number in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[0])
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}"]
        page = path.with_suffix(".html")
        page.write_text(f"<body style='margin:0'>{svg}</body>", encoding="utf-8")
        subprocess.run(
            [chromium, *options, f"--screenshot={path.with_suffix('.png')}", page.absolute().as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip
        page.unlink()
        picture = path.with_suffix(".png")
        picture.write_bytes(packed(picture.read_bytes()))
    print(path)


def main() -> None:
    """Draw the last run of a scope."""
    parser = argparse.ArgumentParser(description="Draw what the terminal shows of the last run of a scope.")
    parser.add_argument("--config", type=Path, help="the scope's YAML file")
    parser.add_argument("--at", default="photos", help="the step during which the first picture is drawn")
    parser.add_argument("--output", type=Path, default=Path("docs/pictures"), help="the folder of the pictures")
    options = parser.parse_args()
    settings = load_settings(options.config)
    prepare_dagster_home(settings.paths)
    with dg.DagsterInstance.get() as instance:
        runs = [run for run in instance.get_runs(limit=20) if RUN_TAG in run.tags]
        if not runs:
            raise SystemExit(f"there is no run below {settings.paths.data_root}: run `naturewatch run` first")
        events = instance.all_logs(runs[0].run_id)
    now, end = moment(events, options.at), events[-1].timestamp
    options.output.mkdir(parents=True, exist_ok=True)
    for size in WINDOWS:
        console = recorder(size.width)
        title = f"NatureWatch: {settings.name}"
        console.print(live(replayed(events, settings, until=now), size=size, title=title, now=now))
        save(console, path=options.output / f"terminal-during-{size.width}.svg")
        console = recorder(size.width)
        state = replayed(events, settings, until=end)
        console.print(whole(state, width=size.width, now=end))
        made = {asset.name for asset in state.assets}
        print_summary(settings, assets=made, seconds=end - events[0].timestamp, console=console)
        save(console, path=options.output / f"terminal-after-{size.width}.svg")


if __name__ == "__main__":
    main()
