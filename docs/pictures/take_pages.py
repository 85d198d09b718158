"""Takes the pictures of the pages: `.venv/bin/python -m docs.pictures.take_pages [DATA_ROOT]` (default `data/sample`).

Each page that stands below `DATA_ROOT` is opened in Chromium at 1280 and 390 pixels, light and dark, and its
upper part, or what follows one of its headings, is written to docs/pictures/ as `page-NAME-WIDTH-SCHEME.png`: 256
colours, at most 200 KiB.
"""

import io
import shutil
import sys
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

FOLDER: Final = Path(__file__).resolve().parent
PAGES: Final = {
    "report": "reports/report.html",
    "report-taxa": "reports/report.html#every-taxon",
    "dataset": "reports/dataset/index.html",
    "rejections": "reports/dataset/rejections.html",
    "changes": "reports/dataset/changes.html",
    "comparison": "reports/comparison.html",
    "card": "release/model_card.html",
    "exam": "reports/exam.html",
    "suspects": "reports/suspects.html",
}
"""Addresses below the data root, with the heading to begin at; a page that does not stand yet has no picture."""
SIZES: Final = {1280: 1600, 390: 1400}
"""Width of the window -> how much of the page is shown, in pixels."""
MOST_BYTES: Final = 200 * 1024


def take(browser: Browser, address: str, *, width: int, scheme: str) -> bytes:
    """A PNG of the upper part of a page, or of what follows a heading.

    Args:
        browser: Chromium.
        address: Of the page, `#` and a heading's name at its end.
        width: Of the window, in pixels.
        scheme: `light` or `dark`.
    """
    page = browser.new_page(
        viewport={"width": width, "height": SIZES[width]},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page.goto(address)
    # Photographs further down are decoded when they come into view.
    page.wait_for_load_state("networkidle")
    shot = page.screenshot()
    page.close()
    return shot


def addresses(root: Path) -> dict[str, str]:
    """The pages that stand below a data root, by the name of their picture."""
    found = {}
    for name, place in PAGES.items():
        file, sign, heading = place.partition("#")
        if (root / file).exists():
            found[name] = f"{(root / file).as_uri()}{sign}{heading}"
    return found


def packed(png: bytes) -> bytes:
    """The same picture in 256 colours, cut at the bottom until it takes at most `MOST_BYTES`."""
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    while True:
        written = io.BytesIO()
        picture.save(written, format="png", optimize=True)
        if len(written.getvalue()) <= MOST_BYTES:
            return written.getvalue()
        picture = picture.crop((0, 0, picture.width, picture.height * 9 // 10))


def main() -> None:
    """Take all pictures that can be taken."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "data/sample").resolve()
    standing = addresses(root)
    if not standing:
        sys.exit(f"there is no page below {root}; run `naturewatch run` first")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, address in standing.items():
            for width in SIZES:
                for scheme in ("light", "dark"):
                    target = FOLDER / f"page-{name}-{width}-{scheme}.png"
                    target.write_bytes(packed(take(browser, address, width=width, scheme=scheme)))
                    print(target.name, target.stat().st_size)
        browser.close()


if __name__ == "__main__":
    main()
