"""What `naturewatch identify` prints of an answer."""

import errno
import io
import json
import os
import re
import sys
from typing import Any

import pytest
from rich.cells import cell_len

from ml.ending import printable
from ml.serving.answer_text import WIDTH, Output, OutputError, readable, shows_colours
from ml.serving.question import Question
from tests.ml.serving.answerings import TREE, answer_of, version

NAMES = {TREE.find("Nestor notabilis"): "Kea", TREE.find("Nestor meridionalis"): "Kākā"}
PAGES = {TREE.find("Nestor"): "https://www.gbif.org/species/5959091"}
GENUS = [0.612, 0.318, 0.06, 0.01]


def answered(row: list[float] = GENUS, question: Question | None = None, **others: object) -> dict[str, Any]:
    """An answer as the command has it."""
    found = answer_of(version(names=NAMES, pages=PAGES), row, question)
    return {"photo": "kea.jpg", "model": {"name": "naturewatch", "version": "3"}, **found, **others}


ANSWER = answered()


def test_an_answer_says_what_it_is_what_is_promised_and_why_it_stops() -> None:
    assert (
        readable(ANSWER)
        == """\
kea.jpg

    genus Nestor
    right 9 times in 10 at this setting (measured 91 %, 88 to 94 %, on 1,200
    photographs that did not choose it)

    kingdom  Animalia                     99.0 %  ████████████████████
    phylum   Chordata                     99.0 %  ████████████████████
    class    Aves                         99.0 %  ████████████████████
    order    Psittaciformes               93.0 %  ██████████████████▌
    family   Strigopidae                  93.0 %  ██████████████████▌
  ▸ genus    Nestor                       93.0 %  ██████████████████▌
    species  Nestor notabilis · Kea       61.2 %  ████████████    ┊
    stops at the genus: Nestor notabilis has 61 %, and 80 % are asked for

    or       Nestor meridionalis · Kākā   31.8 %  ██████▌
             Morus serrator                6.0 %  █
             Morus alba                    1.0 %

    https://www.gbif.org/species/5959091 · naturewatch version 3"""
    )


def test_a_species_ends_the_table() -> None:
    lines = readable(answered([0.01, 0.03, 0.01, 0.95])).splitlines()
    assert lines[2] == "    species Morus alba"
    assert lines[12:14] == [
        "  ▸ species  Morus alba                   95.0 %  ███████████████████",
        "    reaches the species: Morus alba has 95 %, and 80 % are asked for",
    ]
    assert lines[2 + lines.index("") :].count("") == 3


def test_a_common_name_stands_beside_the_scientific_one() -> None:
    assert readable(answered([0.95, 0.03, 0.01, 0.01])).splitlines()[2] == "    species Nestor notabilis, Kea"


def test_an_answer_that_abstains_says_so() -> None:
    lines = readable(answered([0.4, 0.1, 0.1, 0.4])).splitlines()
    assert lines[2] == "    not sure of any kingdom"
    assert "    names nothing: the kingdom Animalia has 60 %, and 80 % are asked for" in lines
    assert not any("▸" in line for line in lines)


def test_the_lineage_of_the_answer_is_shown_where_candidates_lie_elsewhere() -> None:
    """The gannet is the likeliest species, but not of the likeliest genus."""
    row = [0.3, 0.25, 0.31, 0.14]
    shown = [line.split(" %")[0].split() for line in readable(answered(row, Question(threshold=0.4))).splitlines()]
    assert ["▸", "genus", "Nestor", "55.0"] in shown
    assert ["species", "Morus", "serrator", "(elsewhere)", "31.0"] in shown
    shown = [line.split(" %")[0].split() for line in readable(answered(row, Question(threshold=0.3))).splitlines()]
    assert ["genus", "Morus", "31.0"] in shown
    assert ["▸", "species", "Morus", "serrator", "31.0"] in shown


def test_warnings_come_before_the_answer() -> None:
    asked = Question(within=("Plantae",), watch=("Animalia > Chordata > Aves > Psittaciformes=0.02", "Sulidae=0.5"))
    lines = readable(answered(GENUS, asked)).splitlines()
    assert lines[:5] == [
        "kea.jpg",
        "    ! ALARM, watched: Animalia > Chordata > Aves > Psittaciformes has 93 %",
        "      (alarm from 2.0 %, which was not calibrated)",
        "    ! the network contradicts that this lies within Plantae: it gives 1 % to",
        "      that, and would have said genus Nestor (93 %)",
    ]
    assert lines[-3:-1] == [
        "    watched: Animalia > Chordata > Aves > Suliformes > Sulidae has 6.0 % (alarm",
        "      from 50 %, not calibrated)",
    ]


def test_several_photographs_of_one_organism_are_counted() -> None:
    shown = readable(answered(photo="kea", photos=["a.jpg", "b.jpg", "c.jpg"]))
    assert shown.startswith("kea (3 photographs)\n")


@pytest.mark.parametrize("common", ["short", "a name " * 20, "\u9ce5" * 30, "Grüner \u0301"])
def test_columns_stay_in_line(common: str) -> None:
    """Whatever the names are, and however wide their letters."""
    found = answer_of(version(names=dict.fromkeys(range(TREE.node_count), common)), GENUS)
    rows = [line for line in readable({"photo": "a.jpg", **found}).splitlines() if " %  " in line]
    assert len({cell_len(row.partition(" %  ")[0]) for row in rows}) == 1
    assert max(map(cell_len, rows)) <= WIDTH


def test_no_line_is_wider_than_a_page() -> None:
    asked = Question(within=("Plantae",), watch=("Sulidae",), region=(0.1, 0.1, 0.9, 0.9))
    assert max(map(cell_len, readable(answered(GENUS, asked)).splitlines())) <= WIDTH


def test_colours_change_nothing_but_colours() -> None:
    asked = Question(within=("Plantae",), watch=("Aves",))
    for found in (ANSWER, answered(GENUS, asked)):
        coloured = readable(found, colours=True)
        assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == readable(found)
        assert "\x1b" not in readable(found)
    assert "\x1b[1;31m    ! ALARM, watched" in readable(answered(GENUS, asked), colours=True)


def test_signs_may_be_ascii() -> None:
    shown = readable(answered([0.9, 0.06, 0.03, 0.01], names=None), signs=False)
    assert shown.replace("ā", "a").isascii()
    assert "  > species  Nestor notabilis - Kea       90.0 %  ##################" in shown


def test_names_command_no_terminal() -> None:
    hostile = {**ANSWER, "photo": "\x1b[2J.jpg", "model": {"name": "a\nb", "version": "1"}}
    assert "\x1b" not in readable(hostile)
    assert len(readable(hostile).splitlines()) == len(readable(ANSWER).splitlines())


@pytest.mark.parametrize(
    ("variables", "colours"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_only_terminals_get_colours(
    variables: dict[str, str], *, colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        assert shows_colours(terminal) is colours
    os.close(ours)
    assert not shows_colours(io.StringIO())


def test_answers_are_a_line_apart(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=False)
    output.answer(ANSWER)
    output.answer(ANSWER)
    output.close()
    assert capsys.readouterr().out == f"{readable(ANSWER)}\n\n{readable(ANSWER)}\n"


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
