"""GBIF's JSON documents, as far as they are used, and readable errors for anything that comes in their place."""

import json
import re
from typing import Any, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import GbifError

SHOWN = 200
"""Characters of an answer that an error shows."""


class Answer(BaseModel):
    """A document; fields that are not used are ignored, and null counts as missing."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: object) -> object:
        return {name: each for name, each in value.items() if each is not None} if isinstance(value, dict) else value


class Page(Answer):
    """One page of `/occurrence/search`."""

    count: int = Field(ge=0)
    """Records that match, on all pages."""
    end_of_records: bool = Field(alias="endOfRecords", default=False)
    results: tuple[dict[str, Any], ...] = ()


class DownloadRequest(Answer):
    """The request that a download was made for."""

    format: str = "DWCA"
    predicate: dict[str, Any] = {}
    checklist_key: str | None = Field(alias="checklistKey", default=None)


class DownloadStatus(Answer):
    """A download, as GBIF's document about it and the list of the user's downloads describe it."""

    key: str = ""
    status: str
    request: DownloadRequest = DownloadRequest()
    size: int = Field(ge=0, default=0)
    """Bytes of the archive; 0 when unknown."""
    total_records: int | None = Field(alias="totalRecords", default=None)
    doi: str | None = None
    licence: str | None = Field(alias="license", default=None)
    created: str | None = None


class DownloadList(Answer):
    """A user's downloads, the latest first."""

    results: tuple[DownloadStatus, ...] = ()


A = TypeVar("A", bound=Answer)


def read_answer(content: bytes, shape: type[A], *, address: str) -> A:
    """Read an answer's body as a document.

    Args:
        content: The body.
        shape: The document that is expected.
        address: The address that answered.

    Raises:
        GbifError: it is something else: a login or error page, an incomplete body, another document.
    """
    try:
        document = json.loads(content)
        return shape.model_validate(document)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        reason = f"where {shape.__name__} was expected, and {place}: {first['msg']}"
    except (ValueError, RecursionError):
        reason = "where JSON was expected"
    # Raised outside the handlers: a parser's own error would only make the trace longer.
    raise GbifError(f"{address} answered {_shown(content)} {reason}; {_ADVICE}")


def require_plain(text: str, *, address: str) -> str:
    """A text as it is.

    Raises:
        GbifError: it is a page of HTML or XML.
    """
    if re.match(r"\s*<(!doctype|html|\?xml)", text, flags=re.IGNORECASE):
        raise GbifError(f"{address} answered {_shown(text.encode())} where plain text was expected; {_ADVICE}")
    return text


_ADVICE = "check source.api_url, and whether a login page or a proxy answers in GBIF's place; then start again"


def _shown(content: bytes) -> str:
    """The beginning of a body in one line; of a page of HTML only its words."""
    text = content[: 20 * SHOWN].decode(errors="replace")
    if "<" in text[:100]:
        text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text)
    return repr(" ".join(text.split())[:SHOWN])
