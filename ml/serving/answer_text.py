"""The output of `naturewatch identify`: text or a JSON array, written answer by answer."""

import json
import sys
from typing import Any

from ml.ending import printable, takes_more
from ml.errors import MlError

Answer = dict[str, Any]
"""One answer of `ml.serving.answering.Answering.answers`, with `photo` and, where it is known, `model` (name and
version)."""


UNLIKE = 0.05
"""Share of known species' photographs that are told to be unlike them."""


class OutputError(MlError):
    """The answers cannot be written."""


def readable(answer: Answer) -> str:
    """An answer as text: the taxon with its lineage and the model, then the most probable species."""
    photo = printable(answer["photo"])
    if answer["depth"] == 0:
        asked = f"asked for {100 * answer['threshold']:.0f} % confidence"
        if answer.get("rule", "threshold") != "threshold":
            asked = f"by the {answer['rule']} rule at {answer['threshold']:.2f}"
        first = f"{photo}: not sure of any kingdom ({asked})"
    else:
        lineage = " > ".join(step["name"] for step in answer["lineage"])
        first = f"{photo}: {answer['rank']} {answer['taxon']} ({100 * answer['probability']:.0f} %)  [{lineage}]"
    if "model" in answer:
        first += f"  by {answer['model']['name']} version {answer['model']['version']}"
    width = max((len(species["name"]) for species in answer["top"]), default=0)
    lines = [f"    {species['name']:<{width}}  {100 * species['probability']:5.1f} %" for species in answer["top"]]
    lines += [watched(taxon) for taxon in answer.get("watch", ())]
    novelty = answer.get("novelty")
    if novelty is not None and novelty["known"] <= UNLIKE:
        lines.append(unlike(novelty))
    return "\n".join([first, *lines])


def unlike(novelty: dict[str, Any]) -> str:
    """A line about a photograph that looks less like any known species than nearly all photographs of these do."""
    found = "" if novelty["novel"] is None else f" and {100 * novelty['novel']:.0f} % of those of unknown genera"
    return (
        f"    ! maybe a species that the model does not know: only {100 * novelty['known']:.2g} % of photographs of "
        f"known species{found} look so unlike them"
    )


def watched(taxon: dict[str, Any]) -> str:
    """A line about a watched taxon, with or without an alarm."""
    shown = f"{taxon['lineage']}: {100 * taxon['probability']:.2g} % (alarm from {100 * taxon['threshold']:.2g} %)"
    return f"    ! ALARM, watched {shown}" if taxon["alarm"] else f"    watched {shown}"


class Output:
    """Standard output: each answer or error is written whole and at once, in an encoding that the terminal can show.

    As JSON, they are the items of one array, which `close` ends.
    """

    def __init__(self, *, as_json: bool) -> None:
        """Write to `sys.stdout`, as JSON or as text."""
        self._json = as_json
        self._items = 0
        self._closed = False
        self._utf8 = (sys.stdout.encoding or "").lower().replace("-", "") in {"utf8", "utf8sig"}

    def answer(self, answer: Answer) -> None:
        """Write an answer."""
        if self._json:
            self._item(answer)
        else:
            self._write(readable(answer) + "\n")

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
