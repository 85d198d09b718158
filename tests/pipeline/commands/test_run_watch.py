"""What people see of a run: a live table that fits the window, short lines without a terminal, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.pipeline.commands.watched import GROUPS
from tests.pipeline.terminals import Shown, in_terminal

SCRIPT = [sys.executable, "-W", "ignore", "-m", "tests.pipeline.commands.watched"]
NOISE = ("a library's line", "a native line", "a child line")
FETCHED = "854 photographs of 62 species; 2 left out"


def shown(folder: Path, *, end: str = "done", columns: int = 80, rows: int = 24, **more: object) -> Shown:
    return in_terminal([*SCRIPT, str(folder), end], columns=columns, rows=rows, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shown, str]:
    folder = tmp_path_factory.mktemp("narrow")
    return shown(folder), (folder / "logs" / "run.log").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Begun in a small window, which is made large meanwhile."""
    return shown(tmp_path_factory.mktemp("wide"), columns=60, rows=20, resize_at=("100 of 854", 140, 40))


def test_no_picture_is_wider_or_higher_than_the_window(narrow: tuple[Shown, str], wide: Shown) -> None:
    small, cleared, large = wide.raw.partition("\x1b[2J")
    assert cleared, "the window that has changed is drawn anew"
    parts = [(narrow[0], 80, 24), (Shown(status=0, raw=small), 60, 20), (Shown(status=wide.status, raw=large), 140, 40)]
    for seen, columns, rows in parts:
        assert seen.status == 0, seen.raw
        # First there is the name of the log, last the whole table, which may scroll. At its end a picture is left.
        assert len(seen.pictures) > 3
        assert max(cell_len(line) for picture in seen.pictures[1:] for line in picture) <= columns
        assert max(len(picture) for picture in seen.pictures[1:-1]) <= rows


def test_groups_are_folded_where_the_window_is_short(narrow: tuple[Shown, str], wide: Shown) -> None:
    fetching = [picture for picture in narrow[0].pictures if any("of 854 photographs" in line for line in picture)]
    assert any(line.startswith("  Dataset ") for line in fetching[0])
    assert not any("table_00" in line for line in fetching[0])
    fetching = [picture for picture in wide.pictures if any("of 854 photographs" in line for line in picture)]
    assert any("table_00" in line for line in fetching[-1]), "the window was made large"


def test_a_bar_with_rate_and_time_left_shows_the_fetch(narrow: tuple[Shown, str]) -> None:
    lines = narrow[0].lines
    assert any("photos" in line and "300 of 854 photographs, 42/s, 1.6 MB/s" in line for line in lines)
    assert any("━" in line and "35%" in line and "s left" in line for line in lines)
    assert not any("about 3 s left" in line for line in lines)


def test_the_whole_table_stays_with_one_finding_each(narrow: tuple[Shown, str], wide: Shown) -> None:
    for seen in (narrow[0], wide):
        text = "\n".join(seen.final)
        assert [name for names in GROUPS.values() for name in names if f"✓ {name}" not in text] == []
        assert FETCHED in text
    # In full: what does not fit into a line goes on in the next.
    assert "".join("".join(wide.final).split()).count("hasroomfor") == sum(map(len, GROUPS.values())) - 1
    assert all("…" not in line for line in wide.final)


def test_everything_else_is_in_the_log(narrow: tuple[Shown, str]) -> None:
    seen, log = narrow
    assert [words for words in NOISE if words in seen.raw] == []
    assert [words for words in NOISE if words not in log] == []
    assert "photos: 300 of 854 photographs" in log
    assert FETCHED in log
    assert sum("run.log" in line for line in seen.lines) == 1, "the log is named once"


def test_without_a_terminal_there_are_short_plain_lines(tmp_path: Path) -> None:
    run = subprocess.run([*SCRIPT, str(tmp_path), "done"], capture_output=True, text=True, check=False, timeout=300)
    assert (run.returncode, run.stdout) == (0, "")
    first, *lines = run.stderr.splitlines()
    assert first == f"Log: {tmp_path}/logs/run.log"
    assert len(lines) == sum(map(len, GROUPS.values())), run.stderr
    (fetched,) = [line for line in lines if FETCHED in line]
    assert fetched[2] == fetched[5] == ":"
    assert fetched[8:28] == " photos             "
    assert fetched.endswith(" s)")
    assert "\x1b" not in run.stderr


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("fail", "GBIF answered with a page, not with records; ask again later"),
        ("full", "the disk is full: make room below data_root, then run the same command again"),
    ],
)
def test_a_step_that_fails_says_why_and_no_more(tmp_path: Path, end: str, why: str) -> None:
    seen = shown(tmp_path, end=end, columns=140)
    assert seen.status == 1
    assert any(line.startswith("  ✗ photos") for line in seen.final), seen.raw
    assert seen.final[-2:] == [f"naturewatch: photos: {why}", ""]
    assert "Traceback" not in seen.raw
    log = (tmp_path / "logs" / "run.log").read_text(encoding="utf-8")
    assert ("Traceback" in log or "OSError" in log) == (end == "full"), "of what nobody expected there is a trace"


def test_ctrl_c_leaves_the_table_and_the_cursor(tmp_path: Path) -> None:
    seen = shown(tmp_path, end="wait", interrupt_at="854 of 854")
    assert seen.status == 130, seen.raw
    assert any(line.startswith("  ✓ gbif_download") for line in seen.final)
    assert any("photos" in line and "interrupted" in line for line in seen.final)
    assert seen.raw.rindex("\x1b[?25h") > seen.raw.rindex("\x1b[?25l")
    assert "Traceback" not in seen.raw
