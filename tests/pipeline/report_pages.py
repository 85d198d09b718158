"""What the tests of report pages ask of a browser: what would stop a reader, and the cells of a table."""

from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.pipeline.pages.browser import NARROW, SCHEMES, WIDE, opened


def stumbling_blocks(browser: Browser, html: Path) -> list[str]:
    """What axe finds, what is wider than the window, errors and outside requests, at both widths in both schemes."""
    found = []
    for width in (WIDE, NARROW):
        for scheme in SCHEMES:
            shown = opened(browser, html, width=width, scheme=scheme)
            found += [f"{width} {scheme}: {problem}" for problem in (*shown.violations(), *shown.complaints)]
            found += [f"asks for {url}" for url in shown.requests if not url.startswith(("data:", html.as_uri()))]
            if shown.overflow() > 0:
                found.append(f"{shown.overflow()} pixels wider than {width}")
            shown.page.context.close()
    return found


def cells(page: Page, caption: str) -> list[list[str]]:
    """The text of the table with this caption, by row, without the headings; line breaks are spaces."""
    table = page.locator("table").filter(has=page.locator("caption", has_text=caption))
    rows = table.locator("tbody tr").all()
    return [[" ".join(cell.split()) for cell in row.locator("th, td").all_inner_texts()] for row in rows]
