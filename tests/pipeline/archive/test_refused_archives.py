"""Archives that cannot be followed, are damaged, or would do damage are refused with the reason."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.archive.description import read_layout
from pipeline.config.settings import Settings
from pipeline.errors import ArchiveError
from pipeline.gbif.client import Api
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.query import count
from tests.pipeline.archives import ROW, make_archive, redescribed, tables


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        ('index="1"', 'index="one"', "a number up to"),
        ('index="1"', 'index="-1"', "a number up to"),
        ('index="1"', 'index="1000000000"', "a number up to"),
        ('ignoreHeaderLines="1"', 'ignoreHeaderLines="many"', "a number up to"),
        ('fieldsTerminatedBy="\\t"', 'fieldsTerminatedBy="||"', "one ASCII character"),
        ('fieldsTerminatedBy="\\t"', 'fieldsTerminatedBy=""', "one ASCII character"),
        ('fieldsTerminatedBy="\\t"', 'fieldsTerminatedBy="\\"', "one ASCII character"),
        ('fieldsTerminatedBy="\\t"', 'fieldsTerminatedBy="\\n"', "one ASCII character"),
        ('fieldsTerminatedBy="\\t"', 'fieldsEnclosedBy="quote"', "one ASCII character"),
        ('fieldsTerminatedBy="\\t"', 'fieldsTerminatedBy="\\t" encoding="latin-1"', "UTF-8 is expected"),
        ("</location>", "</location><location>b.txt</location>", "over 2 files"),
        ("http://rs.gbif.org/terms/1.0/Multimedia", "http://rs.gbif.org/terms/1.0/Image", "no multimedia"),
        ("terms/identifier", "terms/address", "no column identifier"),
        ("</archive>", "", "cannot be read"),
        ("<archive ", '<!DOCTYPE a [<!ENTITY b "b">]><archive ', "entities"),
    ],
)
def test_a_description_that_cannot_be_followed_is_refused(tmp_path: Path, old: str, new: str, refusal: str) -> None:
    archive = redescribed(tmp_path / "a.zip", lambda text: text.replace(old, new))
    with pytest.raises(ArchiveError, match=refusal):
        read_layout(archive)


@pytest.mark.parametrize(
    ("name", "refusal"), [("occurrence.txt", "does not hold"), ("multimedia.txt", "no multimedia")]
)
def test_a_file_that_is_described_but_absent_is_refused(tmp_path: Path, name: str, refusal: str) -> None:
    with pytest.raises(ArchiveError, match=refusal):
        read_layout(redescribed(tmp_path / "a.zip", str, drop=name))


def test_an_encrypted_member_is_refused(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a.zip")
    content = bytearray(archive.read_bytes())
    # The flag of the central directory that says so, of each member.
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 8] |= 1
        at = content.find(b"PK\x01\x02", at + 1)
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match="encrypted"):
        tables(make_settings, archive)


def test_a_bomb_is_refused_before_it_is_unpacked(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.archive.members.MOST_BYTES", 500)
    archive = make_archive(tmp_path / "a.zip", [ROW] * 50)
    with pytest.raises(ArchiveError, match="looks like a bomb"):
        tables(make_settings, archive)


def test_a_text_that_the_disk_cannot_hold_is_refused_first(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=3)
    monkeypatch.setattr("pipeline.archive.raw.shutil.disk_usage", lambda _: full)
    with pytest.raises(ArchiveError, match="has 3 free"):
        tables(make_settings, make_archive(tmp_path / "a.zip"))


@given(
    cut=st.floats(0, 1, exclude_max=True), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=3)
)
@example(cut=0.0, flips=[(0.99609375, 1)])  # the directory says that a member begins before the archive
@example(cut=0.0, flips=[(0.783203125, 32)])  # a flag of zip that Python does not know
@hypothesis_settings(max_examples=30, deadline=None)
def test_a_truncated_or_damaged_archive_is_an_archive_error_or_loads(
    cut: float, flips: list[tuple[float, int]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        archive = make_archive(Path(name) / "a.zip", [ROW] * 20)
        content = bytearray(archive.read_bytes())
        for place, change in flips:
            content[min(int(place * len(content)), len(content) - 1)] ^= change
        archive.write_bytes(bytes(content) if flips else bytes(content[: int(cut * len(content))]))
        settings = Settings.model_validate(
            {"name": "t", "data_root": Path(name) / "data", "source": {"mode": "archive", "archive": str(archive)}}
        )
        try:
            fetch_source(settings, api=Api("http://127.0.0.1:9/v1"), log=lambda _: None)
            build_occurrences(settings.paths, settings)
        except ArchiveError:
            return
        assert count(settings.paths.table("occurrences")) <= 20
