"""The page in a real Chromium: opened without any way to other machines, and handled as a person does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, FilePayload, Locator, Page, Route, expect

from tests.e2e.taught_model import photograph

WAIT_MS: Final = 60_000
"""How long an answer may take on a machine under load."""


@dataclass
class Opened:
    """The page, what it asked for, and what went wrong."""

    page: Page
    address: str
    requests: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def give(self, **photographs: bytes) -> None:
        """Choose files; a name's `_` is the dot before its ending."""
        self.page.set_input_files(
            "#files", [payload(name.replace("_", "."), data) for name, data in photographs.items()]
        )

    def answer(self) -> Locator:
        """The heading of the answer that is shown."""
        return self.page.locator("#answer-title")

    def rows(self) -> Locator:
        """The rows of the table."""
        return self.page.locator("#batch tbody tr")

    def asked(self, path: str) -> int:
        """How many requests there were for this path."""
        return sum(url.split("?")[0] == self.address + path for url in self.requests)

    def violations(self) -> list[str]:
        """What axe finds, one line per rule."""
        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        return [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found]

    def problems(self) -> list[str]:
        """What axe finds at both widths and in both schemes, and where the page is wider than its window."""
        found = []
        for width in (1280, 390):
            self.page.set_viewport_size({"width": width, "height": 900})
            overflow = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [f"{overflow} pixels wider than {width}"] * (overflow > 0)
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
                found += [f"{width} {scheme}: {problem}" for problem in self.violations()]
        self.page.set_viewport_size({"width": 1280, "height": 900})
        return found


def payload(name: str, data: bytes) -> FilePayload:
    """A file as a browser gets it from a person."""
    kind = "text/plain" if name.endswith(".txt") else "image/jpeg"
    return {"name": name, "mimeType": kind, "buffer": data}


@contextmanager
def opened(browser: Browser, address: str, **options: Any) -> Iterator[Opened]:  # noqa: ANN401 (Playwright's own)
    """The page at an address; where the block ends, nothing may have gone wrong or left the machine."""
    # A colour that is fading into another has neither's contrast.
    context: BrowserContext = browser.new_context(
        viewport={"width": 1280, "height": 900}, reduced_motion="reduce", **options
    )
    context.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    found = Opened(page=context.new_page(), address=address)

    def let_in(route: Route) -> None:
        found.requests.append(route.request.url)
        if route.request.url.startswith((f"{address}/", "blob:", "data:")):
            route.continue_()
        else:
            found.outside.append(route.request.url)
            route.abort()

    context.route("**/*", let_in)
    found.page.on("console", lambda message: found.complaints.append(message.text))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.goto(f"{address}/")
    expect(found.page.locator("#by")).to_contain_text("species")
    yield found
    assert found.outside == []
    assert found.complaints == []
    context.close()


def batch(number: int, *, colours: Mapping[str, object]) -> list[FilePayload]:
    """Photographs of one colour each, in turn."""
    names = list(colours)
    return [
        payload(f"{place:02}-{(name := names[place % len(names)])}.jpg", photograph(name)) for place in range(number)
    ]
