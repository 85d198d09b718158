"""The report in a real browser: opened from disk it asks for nothing, and its table is searched and sorted."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page

from pipeline.config.settings import Settings
from pipeline.registry.report_page import Report
from tests.ml.specificity_fixtures import BIRDS, rows_of, write_taxonomy
from tests.pipeline import trained
from tests.pipeline.pages.browser import NARROW, chromium, opened
from tests.pipeline.registry.reported import NETWORK, photographed, reported
from tests.pipeline.report_pages import stumbling_blocks
from tests.pipeline.tiny import read, write

HOSTILE = '"><img src=x onerror="document.title=1"><script>document.title=2</script>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this module."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def html(whole: Report) -> Path:
    """The report of a version with all that one can show."""
    return whole.html


def lines(page: Page) -> list[str]:
    """The names in the table of taxa."""
    return page.locator("#taxa-table tbody th").all_text_contents()


def test_nothing_stops_a_reader(html: Path, browser: Browser) -> None:
    assert stumbling_blocks(browser, html) == []


def test_the_search_finds_a_taxon_with_all_below_it(html: Path, browser: Browser) -> None:
    page = opened(browser, html).page
    page.get_by_label("Find a taxon, and all below it").fill("nestor")
    assert lines(page) == ["Nestor", "Nestor notabilis", "Nestor meridionalis"]
    assert page.locator("#taxa-count").text_content() == f"3 of {total(page)} taxa"
    page.get_by_label("Show", exact=True).select_option("species")
    assert lines(page) == ["Nestor notabilis", "Nestor meridionalis"]
    page.get_by_label("Find a taxon, and all below it").fill("PLANTAE")
    assert lines(page) == ["Morus alba"]
    page.get_by_label("Find a taxon, and all below it").fill("dodo")
    assert lines(page) == []


def total(page: Page) -> int:
    """How many taxa the page knows."""
    return int(page.evaluate("JSON.parse(document.getElementById('taxa-data').textContent).rows.length"))


def test_the_keyboard_alone_searches_and_sorts(html: Path, browser: Browser) -> None:
    page = opened(browser, html).page
    page.locator("#taxa-query").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "taxa-rank"
    page.keyboard.type("species")
    assert len(lines(page)) == 4
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "training":
            break
    page.keyboard.press("Enter")
    assert page.locator("th[data-sort=train]").get_attribute("aria-sort") == "descending"
    names, sizes = ["Nestor notabilis", "Nestor meridionalis", "Morus serrator", "Morus alba"], trained.SIZES.tolist()
    assert lines(page) == sorted(names, key=lambda name: -sizes[names.index(name)])
    page.keyboard.press("Enter")
    assert lines(page) == sorted(names, key=lambda name: sizes[names.index(name)])
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is visible"


def test_without_script_the_table_is_plain_and_says_the_same(html: Path, browser: Browser) -> None:
    plain, drawn = (opened(browser, html, script=script, width=NARROW).page for script in (False, True))
    assert plain.locator("#taxa-find").is_hidden()
    rows = [page.locator("#taxa-table tbody tr").all_inner_texts() for page in (plain, drawn)]
    assert rows[0] == rows[1]
    assert len(rows[0]) == total(drawn)


def test_hostile_names_stay_text(settings: Settings, browser: Browser) -> None:
    manifest = photographed(settings)
    tree = [row | {"name": f"{row['name']} {HOSTILE}"} if row["depth"] else row for row in rows_of(BIRDS)]
    write_taxonomy(settings.paths.table("taxonomy"), tree)
    photos = [{**row, "rights_holder": HOSTILE} for row in read(settings.paths.table("photos"))]
    write(settings.paths, "photos", photos)
    trained.train(settings, manifest, network=NETWORK, seed=settings.training.seed, skill=1.0)
    hostile = manifest.model_copy(update={"citation": HOSTILE, "doi": '10.15468/"><script>'})
    shown = opened(browser, reported(settings, hostile).html)
    assert "Report on naturewatch" in shown.page.title()
    assert shown.page.locator("main img:not([src^='data:'])").count() == 0
    assert HOSTILE in lines(shown.page)[0]
    shown.page.locator("#taxa-query").fill("onerror")
    assert len(lines(shown.page)) == total(shown.page)
    assert shown.complaints == []
    assert "Report on naturewatch" in shown.page.title()
    assert pq.read_table(settings.paths.table("taxonomy")).num_rows == total(shown.page) + 1
