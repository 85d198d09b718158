"""The journal of a command: what it keeps, what it cuts off, and with whom it does not go on."""

from pathlib import Path

import pytest

from ml.identify.journal import Journal, ResumeError, journal_of

ASKED = {"model": "tiny version 1", "target": 0.9, "within": ("Aves",)}
KEA, TUI = {"photo": "kea\udce9.jpg", "taxon": "Nestor notabilis"}, {"photo": "tui.jpg", "error": "no such file"}


def begun(path: Path) -> Path:
    journal = Journal.open(path, asked=ASKED, restart=False)
    places = journal.add([("a", KEA), ("b", TUI)])
    assert list(journal.read(reversed(places))) == [TUI, KEA]
    journal.add([("c", KEA)])
    journal.close()
    return path


def test_answers_are_kept_and_errors_are_tried_again(tmp_path: Path) -> None:
    path = begun(tmp_path / "new" / "answers.csv")
    journal = Journal.open(path, asked=ASKED, restart=False)
    assert sorted(journal.answered) == ["a", "c"]
    assert list(journal.read(journal.answered.values())) == [KEA, KEA]
    journal.close()


@pytest.mark.parametrize("left", [b'{"key":"d","answer":{"photo":"d"}}\n', b'{"key":"d","ans', b"\0" * 5000, b"[]\n"])
def test_what_a_killed_command_left_after_a_whole_batch_is_cut_off(tmp_path: Path, left: bytes) -> None:
    path = begun(tmp_path / "answers.csv")
    whole = journal_of(path).read_bytes()
    journal_of(path).write_bytes(whole + left)
    journal = Journal.open(path, asked=ASKED, restart=False)
    assert sorted(journal.answered) == ["a", "c"]
    (place,) = journal.add([("d", KEA)])
    assert list(journal.read([place])) == [KEA]
    journal.close()
    assert journal_of(path).read_bytes().startswith(whole)


def test_a_journal_cut_anywhere_goes_on_with_whole_batches(tmp_path: Path) -> None:
    whole = journal_of(begun(tmp_path / "answers.csv")).read_bytes()
    known: dict[int, set[str]] = {}
    for size in range(0, len(whole) + 1, 3):
        path = tmp_path / f"{size}.csv"
        journal_of(path).write_bytes(whole[:size])
        journal = Journal.open(path, asked=ASKED, restart=False)
        known[size] = set(journal.answered)
        journal.close()
        assert known[size] in (set(), {"a"}, {"a", "c"})
    assert {"a"} in known.values()


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({**ASKED, "target": 0.8}, r"answers.csv was begun with target 0.9, and now it is 0.8: ask the same"),
        ({**ASKED, "model": "tiny version 2"}, 'begun with model "tiny version 1", and now it is "tiny version 2"'),
        ({**ASKED, "region": [0, 0, 1, 1]}, "begun with region unset"),
    ],
)
def test_another_question_does_not_go_on(tmp_path: Path, asked: dict[str, object], reason: str) -> None:
    path = begun(tmp_path / "answers.csv")
    with pytest.raises(ResumeError, match=reason):
        Journal.open(path, asked=asked, restart=False)
    anew = Journal.open(path, asked=asked, restart=True)
    assert not anew.answered
    anew.close()


def test_an_output_of_unknown_origin_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("precious", encoding="utf-8")
    with pytest.raises(ResumeError, match=r"answers\.csv is there already, and answers.csv.journal is not"):
        Journal.open(path, asked=ASKED, restart=False)
    assert path.read_text(encoding="utf-8") == "precious"
    assert not journal_of(path).exists()
    journal_of(path).write_text("also precious\n", encoding="utf-8")
    with pytest.raises(ResumeError, match="is no journal of this command"):
        Journal.open(path, asked=ASKED, restart=False)
    assert journal_of(path).read_text(encoding="utf-8") == "also precious\n"


def test_two_commands_do_not_write_one_output(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    first = Journal.open(path, asked=ASKED, restart=False)
    with pytest.raises(ResumeError, match="another command writes"):
        Journal.open(path, asked=ASKED, restart=True)
    first.close()
    Journal.open(path, asked=ASKED, restart=False).close()
