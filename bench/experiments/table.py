"""The results as tables in docs/experiments.md."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev

from scipy.stats import t

from bench.experiments.runs import Outcome
from ml.files import replacing
from ml.spec import RANKS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "experiments.md"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the width of its 95 % interval by Student's t; no width for a single value."""
    if len(values) < 2:
        return values[0], math.nan
    return fmean(values), float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))


def percent(outcomes: Sequence[Outcome], measure: Callable[[Outcome], float]) -> str:
    """Mean and interval in per cent."""
    mean, half = interval([measure(outcome) for outcome in outcomes])
    return f"{100 * mean:.1f}" if math.isnan(half) else f"{100 * mean:.1f} ± {100 * half:.1f}"


def results(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table, a line per row, over its seeds."""
    ranks = [rank for rank in reversed(RANKS) if rank not in {"species", "kingdom"}]
    columns = ["row", "seeds", "species", "training", "gap", *ranks, "depth at 90 %", "right there", "minutes"]
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    for title, own in grouped(outcomes).items():
        depth, half = interval([outcome.calibration.evaluation_depth for outcome in own])
        cells = [
            title,
            str(len(own)),
            percent(own, top1),
            percent(own, lambda outcome: outcome.training.metrics["train_top1"]),
            percent(own, gap),
            *(f"{100 * fmean(outcome.training.metrics[f'accuracy_{rank}'] for outcome in own):.1f}" for rank in ranks),
            f"{depth:.2f}" if math.isnan(half) else f"{depth:.2f} ± {half:.2f}",
            percent(own, lambda outcome: outcome.calibration.evaluation_accuracy),
            f"{fmean(outcome.seconds for outcome in own) / 60:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(outcomes: Sequence[Outcome], *, pairs: Sequence[tuple[str, str]]) -> str:
    """A Markdown table of paired differences: the same seed has the same photographs in every row."""
    found = grouped(outcomes, by=lambda outcome: outcome.row.name)
    lines = [
        "| row | against | seeds | species, points | genus, points | gap, points |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for one, other in pairs:
        if one not in found or other not in found:
            continue
        first, second = ({outcome.seed: outcome for outcome in found[name]} for name in (one, other))
        seeds = sorted(first.keys() & second.keys())
        cells = [str(len(seeds))]
        for measure in (top1, genus, gap):
            mean, half = interval([measure(first[seed]) - measure(second[seed]) for seed in seeds])
            cells.append(f"{100 * mean:+.1f}" if math.isnan(half) else f"{100 * mean:+.1f} ± {100 * half:.1f}")
        lines.append(f"| {found[one][0].row.title} | {found[other][0].row.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def top1(outcome: Outcome) -> float:
    """Share of validation photographs whose most probable species is right."""
    return outcome.training.metrics["top1"]


def genus(outcome: Outcome) -> float:
    """Share of validation photographs whose most probable species is of the right genus."""
    return outcome.training.metrics["accuracy_genus"]


def gap(outcome: Outcome) -> float:
    """How much better it is on training photographs: what it has learnt by heart."""
    return outcome.training.metrics["train_top1"] - outcome.training.metrics["top1"]


def grouped(
    outcomes: Sequence[Outcome], *, by: Callable[[Outcome], str] = lambda outcome: outcome.row.title
) -> dict[str, list[Outcome]]:
    """Outcomes by row, in the order of the rows."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(by(outcome), []).append(outcome)
    return found


def insert(text: str, *, mark: str, document: Path = DOCUMENT) -> None:
    """Put `text` between `<!-- mark -->` and `<!-- end of mark -->` of the document, in the place of what stands there.

    Raises:
        ValueError: the document has no such marks.
    """
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    content = document.read_text(encoding="utf-8")
    before, found, rest = content.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document} has no place for {mark}: {begin.strip()} and {end}")
    with replacing(document) as partial:
        partial.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
