"""The frame of every page: escaped, self-contained, and loud about a fact that is missing."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from pipeline.pages.document import Link, cell, data_url, render, share
from pipeline.pages.rejections_page import Rule, Stage

FRAME: dict[str, object] = {"scope": "<nz>", "dataset_version": "abc", "date": "2026-11-26"}


def test_all_that_is_inserted_is_escaped() -> None:
    cells: list[list[object]] = [["<b>", 1234], [Link(text="<i>", href="https://a.test/?a=1&b=2"), None]]
    rule = Rule(name="a<b", meaning="A & B.", rows=2, in_words="2 records", columns=["name", "n"], examples=cells)
    facts = {"stages": [Stage(name="photos", title="Fetching", rules=[rule])], "total": 2, "most": 10}
    html = render("rejections.html", **FRAME, **facts, source={"mode": "search"})
    assert "<title>What was left out of &lt;nz&gt; · NatureWatch</title>" in html
    assert '<th scope="row">&lt;b&gt;</th>' in html
    assert "<td>1,234</td>" in html
    assert '<a href="https://a.test/?a=1&amp;b=2">&lt;i&gt;</a>' in html
    assert "A &amp; B." in html
    assert "Scope &lt;nz&gt;. Dataset version <code>abc</code>, as of 2026-11-26." in html
    assert "under Apache-2.0" in html


def test_a_fact_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'total' is undefined"):
        render("rejections.html", **FRAME)


@pytest.mark.parametrize("href", ["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "file:///etc", ""])
def test_a_link_leads_to_the_web_or_beside_the_page_and_nowhere_else(href: str) -> None:
    assert Link(text="a<b", href=href).__html__() == "a&lt;b"


def test_links_to_the_web_and_beside_the_page() -> None:
    assert Link(text="a", href="rejections.html#x").__html__() == '<a href="rejections.html#x">a</a>'
    assert Link(text="a", href="https://a.test/b").__html__() == '<a href="https://a.test/b">a</a>'


def test_values_as_people_read_them(tmp_path: Path) -> None:
    assert [cell(value) for value in (1234567, None, "a", True)] == ["1,234,567", "\N{EN DASH}", "a", True]
    assert (share(1, 8), share(1, 0), share(0.5)) == ("12.5%", "\N{EN DASH}", "50.0%")
    (tmp_path / "a.svg").write_text("<svg/>")
    assert data_url(tmp_path / "a.svg") == "data:image/svg+xml;base64,PHN2Zy8+"
