"""`naturewatch prune`: what people read in narrow and wide terminals, and what the command does."""

import argparse
import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.commands import prune
from pipeline.commands.prune_table import show, size
from pipeline.config.settings import Settings
from pipeline.errors import RetentionError
from pipeline.retention.removals import Bodies, Kept, Kind, Plan, Removal

PLAN = Plan(
    removals=(
        Removal(kind=Kind.VERSION, name="1", bytes=220_000_000, reason="neither under an alias nor kept"),
        Removal(kind=Kind.TRAINING, name=f"models/knowledge_transfer/{'0' * 16}", bytes=700, reason="earlier dataset"),
        Removal(kind=Kind.TRAINING, name=f"models/baseline/{'1' * 16}", bytes=5_000, reason="earlier dataset"),
    ),
    bodies=Bodies(
        table=Path("unused"),
        number=1_234_567,
        bytes=400_000_000_000,
        examples=tuple(f"photos/aa/{letter * 64}.jpg" for letter in "abc"),
    ),
    kept=(Kept(name="version 3", reason="alias champion"),),
    notes=("Photographs are left alone: [why].",),
)


def printed(plan: Plan, settings: Settings, *, width: int, removing: bool = False) -> str:
    stream = io.StringIO()
    show(plan, settings, console=Console(width=width, file=stream, highlight=False), removing=removing)
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_the_plan_fits_the_terminal_and_says_what_goes_and_what_stays(settings: Settings, width: int) -> None:
    told = printed(PLAN, settings, width=width)
    assert max(map(len, told.splitlines())) <= width
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert any(line.startswith("model versions 1 220 MB") for line in lines)
    # The largest first, and kinds in the order in which they go.
    assert any(line.startswith("trainings 2 5.7 kB earlier dataset") for line in lines)
    assert any(line.startswith("photographs 1,234,567 400 GB") for line in lines)
    assert "models/baseline" in told
    assert ("models/knowledge_transfer" in told) is (width >= 100)
    assert any(line.startswith("version 3 alias champion") for line in lines)
    assert "[why]" in told
    assert "Nothing was removed: --yes removes it." in " ".join(lines)
    assert "Removing 1,234,570 items, 400 GB" in printed(PLAN, settings, width=140, removing=True)


def test_nothing_to_do_is_said(settings: Settings) -> None:
    assert printed(Plan(removals=()), settings, width=80).startswith("Nothing goes: all in ")


def test_sizes_are_for_people() -> None:
    assert [size(number) for number in (0, 999, 1_000, 9_949, 9_950, 999_499, 999_500, 5 * 10**15)] == [
        "0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "5000 TB",
    ]  # fmt: skip


def test_without_a_data_root_there_is_nothing_to_prune(settings: Settings) -> None:
    with pytest.raises(RetentionError, match=r"there is nothing to prune: .* does not exist"):
        prune.run(settings, argparse.Namespace(yes=True))
    assert not settings.paths.data_root.exists()
