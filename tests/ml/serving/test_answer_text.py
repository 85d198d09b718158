"""What `naturewatch identify` prints of an answer."""

import errno
import io
import json
import os
import sys
from typing import Any

import pytest

from ml.ending import printable
from ml.serving.answer_text import Output, OutputError, readable, watched

GENUS = {"rank": "genus", "name": "Nestor", "taxon_key": "K6", "probability": 0.93}
SPECIES = {"rank": "species", "name": "Nestor notabilis", "taxon_key": "K7", "probability": 0.612}
ANSWER: dict[str, Any] = {
    "photo": "kea.jpg", "taxon": "Nestor", "rank": "genus", "depth": 6, "probability": 0.93, "threshold": 0.9,
    "lineage": [GENUS], "top": [SPECIES],
}  # fmt: skip


def test_an_answer_reads_as_a_sentence() -> None:
    assert readable(ANSWER).splitlines() == ["kea.jpg: genus Nestor (93 %)  [Nestor]", "    Nestor notabilis   61.2 %"]
    abstained = readable({**ANSWER, "depth": 0, "rank": "root", "lineage": [], "top": []})
    assert abstained == "kea.jpg: not sure of any kingdom (asked for 90 % confidence)"


def test_an_answer_names_who_gives_it() -> None:
    first, _ = readable({**ANSWER, "model": {"name": "naturewatch", "version": "3"}}).splitlines()
    assert first == "kea.jpg: genus Nestor (93 %)  [Nestor]  by naturewatch version 3"


def test_an_alarm_cannot_be_overlooked() -> None:
    taxon = {"lineage": "Plantae > Morus", "probability": 0.02, "threshold": 0.013, "alarm": True}
    assert watched(taxon) == "    ! ALARM, watched Plantae > Morus: 2 % (alarm from 1.3 %)"
    assert watched({**taxon, "alarm": False}) == "    watched Plantae > Morus: 2 % (alarm from 1.3 %)"


def test_a_photograph_unlike_all_known_species_is_told_apart() -> None:
    novelty = {"distance": 0.9, "known": 0.021, "novel": 0.38}
    *_, last = readable({**ANSWER, "novelty": novelty}).splitlines()
    assert last == (
        "    ! maybe a species that the model does not know: only 2.1 % of photographs of known species and 38 % of "
        "those of unknown genera look so unlike them"
    )
    assert "unknown genera" not in readable({**ANSWER, "novelty": {**novelty, "novel": None}})
    for usual in ({**novelty, "known": 0.06}, None):
        assert readable({**ANSWER, "novelty": usual}) == readable(ANSWER)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("kākā.jpg", "kākā.jpg"),
        ("two\nlines.jpg", r"two\nlines.jpg"),
        ("\x1b[2Jcleared.jpg", r"\x1b[2Jcleared.jpg"),
        ("kea\udce9.jpg", r"kea\udce9.jpg"),
    ],
)
def test_a_name_is_one_line_and_commands_no_terminal(name: str, shown: str) -> None:
    assert printable(name) == shown


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_every_terminal_shows_every_name(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte that is no UTF-8, a letter beyond ASCII, one beyond the first plane."""
    name = "kea\udce9 kākā 🦜.jpg"
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    output = Output(as_json=True)
    output.answer({**ANSWER, "photo": name})
    output.error(name, "the file is empty")
    output.close()
    assert [entry["photo"] for entry in json.loads(written.getvalue().decode(encoding))] == [name, name]
    Output(as_json=False).answer({**ANSWER, "photo": name})
    assert b"genus Nestor" in written.getvalue()


def test_no_photograph_makes_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.close()
    output.close()
    assert json.loads(capsys.readouterr().out) == []


class Full(io.RawIOBase):
    """A file on a full disk."""

    def writable(self) -> bool:
        return True

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Full(), write_through=True))  # type: ignore[type-var]
    with pytest.raises(OutputError, match="cannot write the answers: No space left on device"):
        Output(as_json=False).answer(ANSWER)
