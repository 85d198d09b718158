"""Pages in a real browser: what a person would stumble over, at any width, in light and dark."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

NARROW, WIDE = 390, 1280
"""Pixels of a telephone and of a laptop."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, for the time of a test module."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("no chromium on this machine; `make test` installs it from the distribution")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, html: Path, *, width: int = WIDE, scheme: Literal["light", "dark"] = "light"
) -> Iterator[tuple[Page, list[str]]]:
    """A page of a file, and what goes wrong in it: errors of its script, and requests for anything but the file."""
    problems: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if _is_outside(request.url, html) else None)
    page.goto(html.as_uri())
    yield page, problems
    page.close()


def stumbling_blocks(browser: Browser, html: Path) -> list[str]:
    """What axe finds, what is wider than the window, errors and outside requests, at both widths in both schemes."""
    found = []
    for width in (WIDE, NARROW):
        for scheme in ("light", "dark"):
            with opened(browser, html, width=width, scheme=scheme) as (page, problems):
                found += problems
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    found.append(f"wider than {width} pixels")
                results = Axe().run(page)
                if results.violations_count:
                    found.append(f"{width} {scheme}: {results.generate_report()}")
    return found


def cells(page: Page, caption: str) -> list[list[str]]:
    """The text of the table with this caption, by row, without the headings; line breaks are spaces."""
    table = page.locator("table").filter(has=page.locator("caption", has_text=caption))
    rows = table.locator("tbody tr").all()
    return [[" ".join(cell.split()) for cell in row.locator("th, td").all_inner_texts()] for row in rows]


def _is_outside(url: str, html: Path) -> bool:
    return not url.startswith("data:") and url.partition("#")[0] != html.as_uri()
