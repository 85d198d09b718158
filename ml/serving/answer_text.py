"""What `naturewatch identify` prints: each answer as text for people, 80 columns wide, or all as one JSON array."""

import json
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TextIO

from rich.cells import cell_len, set_cell_size

from ml.ending import printable, takes_more
from ml.errors import MlError
from ml.serving.explanation import percent, small_percent

Answer = dict[str, Any]
"""One answer of `ml.serving.answering.Answering.answers`, with `photo` and, where it is known, `model` (name and
version)."""

WIDTH: Final = 80
"""Columns of a sentence, at most."""
MARGIN: Final = "    "
NAME: Final = 36
"""Columns of a name in a table, at most."""
BAR: Final = 20
"""Columns of the bar of a probability of 1."""
BOLD, FAINT, RED, GREEN = "1", "2", "1;31", "1;32"
"""Bold, faint, bold red and bold green, as terminals are told (ECMA-48)."""
ASCII: Final = str.maketrans({"█": "#", "▌": None, "┊": "|", "▸": ">", "·": "-", "…": "~"})
"""What stands for each sign where only ASCII can be written."""


class OutputError(MlError):
    """The answers cannot be written."""


def readable(answer: Answer, *, colours: bool = False, signs: bool = True) -> str:
    """An answer as text.

    First what must not be overlooked; then the taxon, what is promised of it, and what its place and season did; a
    probability for each rank, where the answer stops and why; the other species; and who says so. A dotted line shows
    the probability that is asked for.

    Args:
        answer: What is to be told.
        colours: Whether who reads it is a terminal that shows colours.
        signs: Whether bars and marks may be signs beyond ASCII. Names stay as they are.
    """
    lines = list(_lines(answer, _Paint(colours=colours, signs=signs)))
    return "\n".join(line.rstrip() for line in lines)


class _Paint:
    """How lines are written."""

    def __init__(self, *, colours: bool, signs: bool) -> None:
        self._colours, self._signs = colours, signs

    def __call__(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colours and text.strip() else text

    def signs(self, text: str) -> str:
        """Signs, or what stands for them."""
        return text if self._signs else text.translate(ASCII)


def _lines(answer: Answer, paint: _Paint) -> Iterator[str]:
    photos = answer.get("photos", ())
    several = f" ({len(photos)} photographs)" if len(photos) > 1 else ""
    yield paint(printable(answer["photo"]) + several, BOLD)
    for warning in answer["warnings"]:
        yield from (paint(line, RED) for line in _sentence(f"! {warning['text']}", hanging="  "))
    yield ""
    yield MARGIN + paint(_title(answer), GREEN if answer["depth"] else BOLD)
    yield from _sentence(answer["promise"]["text"])
    # A place that changed nothing is among the warnings.
    if (prior := answer.get("prior")) and (prior["used"] or (prior["day"] is not None and prior["place"] is None)):
        yield from _sentence(prior["text"])
    yield ""
    yield from _table(answer, paint)
    yield ""
    yield from (paint(line, FAINT) for line in _foot(answer, paint))


def _title(answer: Answer) -> str:
    if answer["depth"] == 0:
        return "not sure of any kingdom"
    common = f", {answer['common_name']}" if answer["common_name"] else ""
    return printable(f"{answer['rank']} {answer['taxon']}{common}")


def _table(answer: Answer, paint: _Paint) -> Iterator[str]:
    """A line for each rank, why it ends where it does, and the other species."""
    path = answer["path"][: answer["depth"]] if answer["stop"]["reason"] == "species" else answer["path"]
    # Below one half the candidates need not be of one lineage: down to the answer its own is shown.
    ranks = [*answer["lineage"], *path[len(answer["lineage"]) :]]
    shown = {(taxon["rank"], taxon["name"], taxon["taxon_key"]) for taxon in ranks}
    others = [taxon for taxon in answer["top"] if (taxon["rank"], taxon["name"], taxon["taxon_key"]) not in shown]
    table = _Columns([*ranks, *others], paint)
    asked = answer["threshold"] if answer["rule"] == "threshold" else None
    for depth, taxon in enumerate(ranks, start=1):
        here, below = depth == answer["depth"], depth > answer["depth"]
        row = table.row(taxon, rank=taxon["rank"], mark="▸" if here else "", asked=asked)
        yield paint(row, GREEN if here else FAINT) if here or below else row
    yield from _sentence(answer["stop"]["text"])
    if others:
        yield ""
        for position, taxon in enumerate(others):
            yield table.row(taxon, rank="or" if position == 0 else "")


class _Columns:
    """Rank, name, probability and bar, in columns that all rows share."""

    def __init__(self, taxa: Sequence[Mapping[str, Any]], paint: _Paint) -> None:
        self._paint = paint
        self._rank = max((cell_len(printable(taxon["rank"])) for taxon in taxa), default=0)
        self._name = min(NAME, max((cell_len(self._label(taxon)) for taxon in taxa), default=0))

    def row(self, taxon: Mapping[str, Any], *, rank: str, mark: str = "", asked: float | None = None) -> str:
        """The line of a taxon."""
        signs = self._paint.signs
        label = self._label(taxon)
        if cell_len(label) > self._name:
            label = set_cell_size(label, self._name - 1) + signs("…")
        return (
            f"  {signs(mark):<2}{set_cell_size(printable(rank), self._rank)}  {set_cell_size(label, self._name)}  "
            f"{percent(taxon['probability'], decimals=1):>7}  {signs(_bar(taxon['probability'], asked))}"
        )

    def _label(self, taxon: Mapping[str, Any]) -> str:
        aside = "" if taxon.get("follows", True) else " (elsewhere)"
        common = f" {self._paint.signs('·')} {printable(taxon['common_name'])}" if taxon["common_name"] else ""
        return printable(taxon["name"]) + aside + common


def _bar(probability: float, asked: float | None) -> str:
    halves = round(2 * BAR * probability)
    bar = "█" * (halves // 2) + "▌" * (halves % 2)
    place = BAR if asked is None else min(int(asked * BAR), BAR - 1)
    return bar if asked is None or len(bar) > place else f"{bar:<{place}}┊"


def _foot(answer: Answer, paint: _Paint) -> Iterator[str]:
    for taxon in answer["watch"]:
        if not taxon["alarm"]:
            found, alarm = small_percent(taxon["probability"]), small_percent(taxon["threshold"])
            guess = ", not calibrated" if taxon["basis"] == "asked" else ""
            yield from _sentence(f"watched: {taxon['lineage']} has {found} (alarm from {alarm}{guess})", hanging="  ")
    said = [answer["gbif"]] if answer["gbif"] else []
    if "model" in answer:
        said.append(f"{answer['model']['name']} version {answer['model']['version']}")
    if said:
        yield MARGIN + printable(paint.signs(" · ").join(said))


def _sentence(text: str, *, hanging: str = "") -> list[str]:
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=MARGIN, subsequent_indent=MARGIN + hanging, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def shows_colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal with colours that its user wants (https://no-color.org)."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


class Output:
    """Standard output: each answer or error is written whole and at once, in an encoding that the terminal can show.

    As JSON, they are the items of one array, which `close` ends.
    """

    def __init__(self, *, as_json: bool) -> None:
        """Write to `sys.stdout`, as JSON or as text."""
        self._json = as_json
        self._items = 0
        self._closed = False
        self._colours = shows_colours(sys.stdout)
        self._utf8 = (sys.stdout.encoding or "").lower().replace("-", "") in {"utf8", "utf8sig"}

    def answer(self, answer: Answer) -> None:
        """Write an answer."""
        if self._json:
            self._item(answer)
        else:
            text = readable(answer, colours=self._colours, signs=self._utf8) + "\n"
            self._write("\n" + text if self._items else text)
            self._items += 1

    def error(self, photo: str, reason: str) -> None:
        """Write that a photograph has no answer. In text mode nothing is written: the error is on standard error."""
        if self._json:
            self._item({"photo": photo, "error": reason})

    def close(self) -> None:
        """End the array; without items it is an empty one."""
        if self._json and not self._closed:
            self._closed = True
            self._write("\n]\n" if self._items else "[]\n")

    def abandon(self) -> None:
        """End the array early, unless nobody reads it: waiting for a reader may never end."""
        if takes_more(sys.stdout):
            self.close()

    def _item(self, item: dict[str, Any]) -> None:
        # A name that is no UTF-8 becomes escapes, from which Python's os.fsencode makes the name again.
        text = json.dumps(item, indent=2, ensure_ascii=not self._utf8)
        self._write(("," if self._items else "[") + "\n  " + text.replace("\n", "\n  "))
        self._items += 1

    def _write(self, text: str) -> None:
        encoding = sys.stdout.encoding or "utf-8"
        try:
            # Inside JSON's quotes, Python's escape of a lone surrogate is JSON's as well.
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write the answers: {error.strerror or error}") from error
