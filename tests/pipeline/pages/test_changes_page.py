"""What changed since the snapshot before, on a page: only what did change, and only when there was one."""

import re

import pytest

from pipeline.config.settings import Settings
from pipeline.history.taxonomy_history import build_taxonomy_history
from pipeline.pages.dataset_page import build_dataset_page
from pipeline.pages.drift_section import in_words
from tests.pipeline.dataset.test_manifest import built
from tests.pipeline.pages.whole import second_snapshot, whole
from tests.pipeline.tiny import read, write

__all__ = ["built", "whole"]


def pages(settings: Settings) -> tuple[str, str]:
    """The dataset page and the page of changes."""
    files = build_dataset_page(settings.paths, settings).files
    return files["index.html"].read_text("utf-8"), files["changes.html"].read_text("utf-8")


def test_of_the_first_snapshot_nothing_is_called_new(whole: Settings) -> None:
    index, changes = pages(whole)
    assert "This is the first snapshot" in changes
    assert "Changes since the last other taxonomy" not in changes
    assert "since the snapshot before" not in index


def test_a_second_snapshot_is_told_photograph_by_photograph(whole: Settings) -> None:
    second_snapshot(whole)
    index, changes = pages(whole)
    (sentence,) = re.findall(r"<p>(Photographs since the snapshot before.*?)</p>", index, re.DOTALL)
    told = " ".join(re.sub("<[^>]+>", "", sentence).split())
    assert told == (
        "Photographs since the snapshot before: 1 new, 2 gone, 1 under another species, 2 under another licence. "
        "What changed"
    )
    relicensed = re.findall(
        r'<th scope="row"><a href="[^"]*">(p\d+)</a></th>\s*<td>(.*?)</td>\s*<td>(CC.*?)</td>\s*<td>(.*?)</td>'
        r"\s*<td>(.*?)</td>",
        changes,
    )
    assert relicensed == [
        ("p5", "Turdus s1", "CC-BY", "all rights reserved", "left the dataset"),
        ("p4", "Turdus s0", "CC-BY", "CC0", "stays"),
    ], "what its licence took away comes first"
    assert "<strong>1 of those below left it.</strong>" in changes
    assert re.search(r'<th scope="row">Turdus s1</th>\s*<td>Turdus s0</td>\s*<td class="number">1</td>', changes)
    assert "Changes since the last other taxonomy" not in changes, "the tree is the same"


def test_what_drifted_is_told_with_its_shares(whole: Settings) -> None:
    assert 'id="drift"' not in pages(whole)[1], "of the first snapshot there is no distance"
    second_snapshot(whole)
    _, changes = pages(whole)
    assert 'id="drift"' in changes
    assert re.search(r"species</th>\s*<td>Turdus s1</td>\s*<td class=\"number\">48.7%</td>", changes)
    assert (whole.paths.reports / "dataset" / "drift.svg").exists()


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("cell", "-45, 170", "40\N{EN DASH}45° S, 170\N{EN DASH}175° E"),
        ("cell", "0, -5", "0\N{EN DASH}5° N, 0\N{EN DASH}5° W"),
        ("month", "05", "May"),
        ("month", "13", "13"),
        ("class", "unknown", "not said"),
        ("year", "2024", "2024"),
    ],
)
def test_values_are_told_in_words(kind: str, value: str, words: str) -> None:
    assert in_words(kind, value) == words


def test_another_taxonomy_is_told_by_rank(whole: Settings) -> None:
    tree = read(whole.paths.table("taxonomy"))
    write(whole.paths, "taxonomy", [{**row, "name": row["name"].replace("Turdidae", "Muscicapidae")} for row in tree])
    build_taxonomy_history(whole.paths, whole)
    _, changes = pages(whole)
    assert "Changes since the last other taxonomy" in changes
    assert re.search(r'<th scope="row">family</th>\s*<td>renamed</td>\s*<td class="number">1</td>', changes)
