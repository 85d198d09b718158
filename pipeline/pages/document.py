"""Renders the HTML pages: Jinja2 templates of `templates/` into one self-contained file that asks for nothing outside.

`base.html` is the frame of every page (style, navigation, footer), `parts.html` holds the macros for pictures, facts
and tables. A page's template extends the one and imports the other. What a page says is decided by its caller.
"""

import base64
import re
from dataclasses import dataclass
from html import escape
from importlib.metadata import metadata
from pathlib import Path
from typing import Final

_MEDIA: Final = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}
"""Media types of the pictures that a page may hold, by suffix."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A text that leads somewhere: a cell of a table, a fact, or an entry of the navigation."""

    text: str
    href: str
    """A web address, or one relative to the page. Anything else, such as a script, leaves the text alone; so does
    an empty one."""

    def __html__(self) -> str:
        """The link as HTML, escaped: templates insert it as it is."""
        text = escape(self.text)
        # Addresses come from records of others. Without a colon there is no scheme, only a place beside this page.
        safe = self.href.startswith(("https://", "http://")) or ":" not in self.href
        return f'<a href="{escape(self.href)}">{text}</a>' if self.href and safe else text


def render(template: str, **facts: object) -> str:
    """An HTML page from one template of `pipeline/pages/templates/`; all that is inserted is escaped.

    Args:
        template: The file's name there, such as `dataset.html`.
        **facts: What the template shows. `base.html` itself reads `scope`, `dataset_version` and `date` (ISO: of the
            data, or of what was computed from them) for the footer. It may be given `pages`, `Link`s to the pages
            beside this one (one without an address is this page), and `sections`, `Link`s to headings (`#id`).

    Returns:
        The whole document.

    Raises:
        jinja2.UndefinedError: the template shows a fact that was not given.
    """
    # Every step of a run imports this module, and few of them write a page.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("pipeline.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = cell
    environment.filters["share"] = share
    environment.filters["cell"] = cell
    environment.filters["data_url"] = data_url
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    about = metadata("naturewatch")
    frame: dict[str, object] = {
        "pages": (),
        "sections": (),
        "software": about["Version"],
        "software_licence": about["License-Expression"],
    }
    html = environment.get_template(template).render(frame | facts)
    # A number and its sign stay in one line.
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", html)


def cell(value: object) -> object:
    """What a table or a fact shows of a value: 12,345 for an integer, a dash for None, all else as it is."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value


def share(part: float, whole: float = 1, digits: int = 1) -> str:
    """A share in percent, such as 12.5%; a dash where there is no whole."""
    return f"{part / whole:.{digits}%}" if whole else "\N{EN DASH}"


def data_url(picture: Path) -> str:
    """The bytes of a PNG, JPEG or SVG file as an address that needs no file."""
    return f"data:{_MEDIA[picture.suffix]};base64,{base64.b64encode(picture.read_bytes()).decode()}"


def sections(*headings: tuple[str, str]) -> list[Link]:
    """The navigation of a page from (id, text) pairs, in their order."""
    return [Link(text=text, href=f"#{name}") for name, text in headings]
