"""The page of a list in a real browser: search, months, parts, narrow screens, dark and light, hostile names."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ml.serving.common_names import CommonNames
from pipeline.config.settings import Settings
from pipeline.pages.place_page import write_place_page
from tests.pipeline.pages.browser import NARROW, SCHEMES, WIDE, chromium, opened
from tests.pipeline.pages.place_world import AUCKLAND, HIDDEN, KM, listed, make_world, record

SOUTH, EAST = AUCKLAND
HOSTILE = "Anas <script>alert(1)</script>"
NAMES = CommonNames(by_name={"zosterops lateralis": 'tauhou "silvereye"', "apteryx mantelli": "Kiwi & Mānuka</th>"})


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this module."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def page_file(settings: Settings) -> Path:
    """The page of a place with everything that it can show."""
    records = [
        *[record(event_date="2024-05-01")] * 4, record(event_date="2024-12-24"),
        *[record("Zosterops lateralis", event_date="2024-01-02")] * 2, record(HOSTILE, event_date="2023-12-24"),
        record("Apteryx mantelli", at=(SOUTH + 20 * KM, EAST), event_date="2024", **HIDDEN),
        record("Lucilia sericata", at=(SOUTH + 40 * KM, EAST), **{"class": "Insecta", "class_key": "216"}),
    ]  # fmt: skip
    make_world(settings, records, photographs={"Apteryx mantelli": 4})
    found = listed(settings, month=1, names=NAMES)
    return write_place_page(found, settings.data_root / "list.html", paths=settings.paths, model="The model is made.")


def shown(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#place-table tbody th a").all_text_contents()]


def test_the_page_is_clean_in_both_schemes_and_widths(page_file: Path, browser: Browser) -> None:
    for scheme in SCHEMES:
        for width in (WIDE, NARROW):
            found = opened(browser, page_file, width=width, scheme=scheme)
            where = f"{scheme}, {width} pixels"
            assert found.violations() == [], where
            assert found.overflow() == 0, where
            assert found.complaints == [], where
            assert [url for url in found.requests if not url.startswith(("file:", "data:"))] == [], where
            found.page.context.close()


def test_the_table_shows_what_counts_first_and_all_that_is_asked_for(page_file: Path, browser: Browser) -> None:
    page = opened(browser, page_file).page
    assert shown(page) == ["Zosterops lateralis", HOSTILE, "Turdus merula"], "of the season, most recorded first"
    assert page.locator("#place-count").text_content() == "3 of 5 species"
    page.get_by_label("Recorded", exact=True).select_option("in other months")
    assert shown(page) == ["Apteryx mantelli"]
    assert page.locator("#place-table tbody tr").inner_text().split("\t")[1] == "~1"
    assert page.get_by_text("no: 1 more photograph needed").is_visible()
    page.get_by_label("Recorded", exact=True).select_option("near by")
    assert shown(page) == ["Lucilia sericata"]
    assert page.get_by_text("nearest 40 km").is_visible()
    page.get_by_label("Recorded", exact=True).select_option("")
    page.get_by_label("In the month of").select_option("May")
    assert shown(page) == ["Turdus merula", "Lucilia sericata"]
    page.get_by_label("Class", exact=True).select_option("Insecta")
    assert shown(page) == ["Lucilia sericata"]
    page.get_by_label("Class", exact=True).select_option("")
    page.get_by_label("In the month of").select_option("")
    page.get_by_label("Find a species or a group").fill("MANUKA")
    assert shown(page) == ["Apteryx mantelli"], "found by a common name, without accents"
    assert page.locator("#place-table tbody th span").text_content() == "Kiwi & Mānuka</th>"
    page.get_by_label("Find a species or a group").fill("")
    page.get_by_role("button", name="species").click()
    assert shown(page)[0] == HOSTILE


def test_months_are_said_to_those_who_do_not_see_them(page_file: Path, browser: Browser) -> None:
    page = opened(browser, page_file).page
    bars = page.get_by_role("img", name="May 4, December 1")
    assert bars.locator("rect").count() == 2
    assert bars.locator("rect.aside").count() == 1, "May is not of the season"
    assert page.get_by_role("img", name="January 2, May 4, December 2").locator("text").count() == 12
    assert page.locator("#place-table svg").first.get_attribute("aria-label") == "January 2"


def test_without_script_the_list_is_a_plain_table_with_the_same_words(page_file: Path, browser: Browser) -> None:
    page, scripted = opened(browser, page_file, script=False).page, opened(browser, page_file).page
    scripted.get_by_label("Recorded", exact=True).select_option("")
    rows = ["Zosterops lateralis", "Turdus merula", HOSTILE, "Apteryx mantelli", "Lucilia sericata"]
    assert shown(page) == rows
    assert not page.locator("#place-find").is_visible()

    def lines(of: Page) -> list[str]:
        return sorted(" ".join(line.split()) for line in of.locator("#place-table tbody tr").all_inner_texts())

    assert lines(page) == lines(scripted)


def test_what_is_cited_and_where_names_lead(page_file: Path, browser: Browser) -> None:
    page = opened(browser, page_file).page
    assert (
        page.locator("#source").inner_text().startswith("Source\n\nGBIF.org (2026) <Download> https://doi.org/10.15468")
    )
    assert page.get_by_role("link", name="https://doi.org/10.15468/dl.x").is_visible()
    assert (
        page.get_by_role("link", name="Turdus merula").get_attribute("href")
        == "https://www.gbif.org/species/Turdusmerula"
    )
    assert "alert(1)</script>" not in page_file.read_text(encoding="utf-8")


def test_an_empty_place_is_a_page_too(settings: Settings, browser: Browser) -> None:
    make_world(settings, [record()])
    found = listed(settings, (52.0, 10.0))
    file = write_place_page(found, settings.data_root / "empty.html", paths=settings.paths, model="No model.")
    opened_page = opened(browser, file)
    assert opened_page.violations() == []
    assert opened_page.complaints == []
    assert opened_page.page.get_by_text("No record within 25 km. The nearest, of Turdus merula, is").is_visible()
