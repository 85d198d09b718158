"""The pages in a real browser: search, keyboard, narrow screens, dark and light, nothing from outside, axe content."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from pipeline.config.settings import Settings
from pipeline.pages.dataset_page import build_dataset_page
from pipeline.pages.species_table import PLAIN, SpeciesTable
from tests.pipeline.dataset.test_manifest import built
from tests.pipeline.pages.browser import NARROW, SCHEMES, WIDE, chromium, opened
from tests.pipeline.pages.whole import leak, second_snapshot, whole

__all__ = ["built", "whole"]

PAGES = ("index.html", "rejections.html", "changes.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this module."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def folder(whole: Settings) -> Path:
    """The pages of a dataset with everything that they can show: a second snapshot, and near-identical photographs."""
    leak(whole.paths)
    second_snapshot(whole)
    return build_dataset_page(whole.paths, whole).html.parent


def test_every_page_is_clean_in_both_schemes_and_widths(folder: Path, browser: Browser) -> None:
    for name in PAGES:
        for scheme in SCHEMES:
            for width in (WIDE, NARROW):
                found = opened(browser, folder / name, width=width, scheme=scheme)
                where = f"{name}, {scheme}, {width} pixels"
                assert found.violations() == [], where
                assert found.overflow() == 0, where
                assert found.complaints == [], where
                outside = [url for url in found.requests if not url.startswith(("file:", "data:"))]
                assert outside == [], where
                found.page.context.close()


def test_the_keyboard_reaches_the_search_and_the_sorting(folder: Path, browser: Browser) -> None:
    page = opened(browser, folder / "index.html").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        if reached[-1] == "species-query":
            page.keyboard.type("s1")
        if reached[-1] == "training":
            page.keyboard.press("Enter")
            break
    assert "species-query" in reached
    assert page.locator("#species-count").text_content() == "1 of 2 species"
    assert page.locator("#species-table tbody tr").count() == 1
    assert page.locator('th[data-sort="train"]').get_attribute("aria-sort") == "descending"
    focus = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert focus == "solid", "the focus is visible"


def test_inside_mlflow_the_page_says_that_its_links_lead_nowhere(folder: Path, browser: Browser) -> None:
    html = (folder / "index.html").read_text(encoding="utf-8")
    page = browser.new_page()
    # As MLflow shows an HTML artifact.
    page.evaluate(
        """html => {
            const frame = document.createElement("iframe");
            frame.sandbox = "allow-scripts";
            frame.src = URL.createObjectURL(new Blob([html], {type: "text/html"}));
            document.body.append(frame);
        }""",
        html,
    )
    inside = page.frame_locator("iframe")
    inside.locator("#inside").wait_for(state="visible")
    inside.locator("#species-query").fill("s1")
    assert inside.locator("#species-table tbody tr").count() == 1
    assert not opened(browser, folder / "index.html").page.locator("#inside").is_visible()


def test_without_script_the_species_are_a_plain_table(folder: Path, browser: Browser) -> None:
    page = opened(browser, folder / "index.html", script=False).page
    assert page.locator("#species-table tbody th").all_text_contents() == ["Turdus s0", "Turdus s1"]
    assert not page.locator("#species-find").is_visible()
    assert page.locator("#species-table tbody a").count() == 4


def test_on_paper_nothing_is_cut_off_and_nothing_asks_to_be_pressed(folder: Path, browser: Browser) -> None:
    page = opened(browser, folder / "index.html").page
    page.emulate_media(media="print")
    assert not page.locator("nav").first.is_visible()
    assert not page.locator("#species-find").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.species')).overflow") == "visible"


def test_twenty_thousand_species_are_searched_and_sorted(
    whole: Settings, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {
            "species": f"Genus{number // 4} species{number}", "genus": f"Genus{number // 4}",
            "family": f"Family{number // 40}", "class": "\u0100ves", "taxon_key": f"K{number:X}", "train": number % 901,
            "validation": 200, "correct": number % 199 if number % 3 else None,
        }
        for number in range(20_000)
    ]  # fmt: skip
    table = SpeciesTable(rows=rows, network="multi_view")
    monkeypatch.setattr("pipeline.pages.dataset_page.species_table", lambda _: table)
    file = build_dataset_page(whole.paths, whole).html
    assert file.stat().st_size < 3_000_000
    found = opened(browser, file)
    page, lines = found.page, found.page.locator("#species-table tbody tr")
    assert lines.count() == 100
    page.get_by_role("button", name="Show more").click()
    assert lines.count() == 200
    query = page.get_by_label("Find a species, genus, family or class")
    query.fill("GENUS4999 aves")
    assert page.locator("#species-count").text_content() == "4 of 20,000 species"
    query.fill("species19997")
    assert lines.all_text_contents() == ["Genus4999 species1999717520097Family499GBIF iNaturalist"]
    assert not page.get_by_role("button", name="Show more").is_visible()
    gbif = page.get_by_role("link", name="Genus4999 species19997 at GBIF")
    assert gbif.get_attribute("href") == "https://www.gbif.org/taxon/search?q=Genus4999%20species19997"
    query.fill("")
    page.get_by_role("button", name="right").click()
    share = page.locator("#species-table tbody tr:first-child td").nth(2)
    assert share.text_content() == "198"
    page.get_by_role("button", name="right").click()
    assert share.text_content() == "\N{EN DASH}"
    assert found.complaints == []
    plain = opened(browser, file, script=False).page
    assert plain.locator("#species-table tbody tr").count() == PLAIN
