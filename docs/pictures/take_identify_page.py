"""Takes the pictures of `naturewatch page`: `.venv/bin/python -m docs.pictures.take_identify_page [DATA_ROOT]`.

The page is served for the finished run of the sample in `DATA_ROOT` (default `data/sample`), and asked about
photographs of its rendered organisms that training did not see: one that stops above the species, one that
raises an alarm and is unlike anything learnt, one that its place and date take to the species, and a batch. Each state
is taken at 1280 and 390 pixels, light and dark, to docs/pictures/ as `identify-STATE-WIDTH-SCHEME.png`, at most 150 kB
each.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import requests
from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER: Final = Path(__file__).resolve().parent
HEIGHTS: Final = {1280: 1220, 390: 1300}
"""Width of the window -> its height, in pixels."""
MOST_BYTES: Final = 150_000
BATCH: Final = 9
LOOKED_AT: Final = 120
"""Photographs among which those that show something are chosen."""
LEAP_YEAR: Final = 2024
"""Has every day of the year."""
Answer = dict[str, Any]
Question = dict[str, Any]


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The page's address while the block runs."""
    command = [sys.executable, "-m", "pipeline.commands.cli", "page", "--port", "0", "--no-browser"]
    environment = {**os.environ, "NATUREWATCH__DATA_ROOT": str(root)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().strip() if process.stdout else ""
        if not urlsplit(address).netloc:
            sys.exit("the page was not served")
        try:
            yield address
        finally:
            process.terminate()


def unseen(root: Path) -> list[Path]:
    """Photographs of the validation side."""
    rows = pq.read_table(root / "tables" / "split.parquet").to_pylist()
    return [root / row["path"] for row in rows if row["split"] == "validation"][:LOOKED_AT]


def placed(root: Path) -> list[tuple[Path, Question]]:
    """Photographs of the validation side with the place and the date of their records, as a question."""
    tables = root / "tables"
    sites = {row["occurrence_key"]: row for row in pq.read_table(tables / "places.parquet").to_pylist()}
    found = []
    for row in pq.read_table(tables / "split.parquet").to_pylist():
        site = sites[row["occurrence_key"]]
        if row["split"] == "validation" and site["latitude"] is not None and site["day"] is not None:
            date = datetime(LEAP_YEAR, 1, 1, tzinfo=UTC) + timedelta(days=site["day"] - 1)
            place = [round(site[axis], 2) for axis in ("latitude", "longitude")]
            found.append((root / row["path"], {"place": place, "date": f"{date:%Y-%m-%d}"}))
    return found[:LOOKED_AT]


def told_by_place(address: str, root: Path) -> tuple[Path, Question]:
    """The first photograph that its place and date take from the genus to the species."""
    for path, question in placed(root):
        (answer,) = asked(address, [path], question)
        if answer["rank"] == "species" and answer["prior"]["alone"]["rank"] == "genus" and not answer["warnings"]:
            return path, question
    sys.exit("no photograph is told by its place")


def asked(address: str, photographs: Sequence[Path], question: Question | None = None) -> list[Answer]:
    """The answers about photographs."""
    files = [("images", (path.name, path.read_bytes())) for path in photographs]
    fields = {"question": json.dumps(question or {})}
    reply = requests.post(f"{address}/api/identify", files=files, data=fields, timeout=600)
    reply.raise_for_status()
    answers: list[Answer] = reply.json()["answers"]
    return answers


def chosen(answers: Sequence[Answer], fits: Callable[[Answer], object]) -> int:
    """The position of the first answer that fits."""
    return next(place for place, answer in enumerate(answers) if fits(answer))


def named(photographs: Sequence[Path], folder: Path) -> list[Path]:
    """Copies with names as a camera gives them."""
    folder.mkdir(exist_ok=True)
    return [Path(shutil.copy(path, folder / f"IMG_{2041 + 3 * number}.jpg")) for number, path in enumerate(photographs)]


def packed(png: bytes) -> bytes:
    """The same picture in 256 colours, scaled down until it takes at most `MOST_BYTES`."""
    with Image.open(io.BytesIO(png)) as opened:
        whole = opened.convert("RGB")
    picture = whole
    while True:
        written = io.BytesIO()
        picture.quantize(256, dither=Image.Dither.NONE).save(written, format="png", optimize=True)
        if len(written.getvalue()) <= MOST_BYTES:
            return written.getvalue()
        picture = whole.resize((picture.width * 19 // 20, picture.height * 19 // 20), Image.Resampling.LANCZOS)


def set_place(page: Page, where: Question) -> None:
    """Open the map, and say where and when."""
    page.get_by_role("button", name="Choose place and date").click()
    page.get_by_label("Latitude, longitude").fill(", ".join(map(str, where["place"])))
    page.get_by_label("Date", exact=True).fill(where["date"])
    page.locator("#detail .case", has_text="Place and date").wait_for()
    page.locator(".before").last.wait_for(state="attached")
    page.locator("#place").evaluate("section => section.scrollIntoView()")


def write(page: Page, state: str, *, width: int, scheme: str) -> None:
    """Write what the window shows."""
    file = FOLDER / f"identify-{state}-{width}-{scheme}.png"
    page.mouse.move(0, 0)
    file.write_bytes(packed(page.screenshot()))
    print(file.name, file.stat().st_size)


def main() -> None:
    """Take all pictures."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "data/sample").resolve()
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with served(root) as address, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        photographs = unseen(root)
        answers = asked(address, photographs)
        stopping = chosen(answers, lambda answer: 4 <= answer["depth"] <= 6 and not answer["warnings"])
        unlike = chosen(answers, lambda answer: any(warning["kind"] == "novelty" for warning in answer["warnings"]))
        others = [path for path in photographs if path not in (photographs[stopping], photographs[unlike])]
        batch = [photographs[stopping], photographs[unlike], *others[: BATCH - 2]]
        first, second, *_ = many = named(batch, Path(folder))
        local, where = told_by_place(address, root)
        (third,) = named([local], Path(folder, "place"))
        family = answers[unlike]["path"][4]["name"]
        note = Path(folder, "field notes.txt")
        note.write_text("two seen, one heard\n")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for width, height in HEIGHTS.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                    reduced_motion="reduce",
                )
                page.goto(address)
                page.locator("#by", has_text="species").wait_for()
                write(page, "empty", width=width, scheme=scheme)
                for state, files in (
                    ("answer", [first]), ("alarm", [second]), ("batch", [*many, note]), ("place", [third])
                ):  # fmt: skip
                    page.set_input_files("#files", files)
                    if state == "alarm":
                        if not page.locator("#watch").is_visible():
                            page.get_by_text("More settings").click()
                        page.get_by_role("combobox", name="Raise an alarm for").press_sequentially(family)
                        page.get_by_role("option", name=family).click()
                        page.get_by_role("alert").filter(has_text="Alarm").wait_for()
                    if state == "batch":
                        page.locator("#batch tbody tr", has_text="Not a photograph").wait_for()
                    else:
                        page.locator(".views img").first.wait_for()
                        page.locator(".examples figure").last.wait_for(state="attached")
                    if state == "place":
                        set_place(page, where)
                    page.wait_for_load_state("networkidle")
                    write(page, state, width=width, scheme=scheme)
                    page.get_by_role("button", name="Remove all photographs").click()
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
