"""Whether GBIF has grown since the last download: one request, which returns no records."""

from dataclasses import dataclass

from pipeline.config.settings import Settings
from pipeline.gbif.answers import Page
from pipeline.gbif.client import Api
from pipeline.gbif.scope import search_parameters
from pipeline.gbif.source import SourceRecord


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Records of the scope in the last download, and at GBIF now."""

    before: int
    now: int

    @property
    def share(self) -> float:
        """How much GBIF has grown, as a share of the last download; infinite when that was empty."""
        return (self.now - self.before) / self.before if self.before else float("inf")


def grown(settings: Settings, *, api: Api) -> Growth:
    """Compare GBIF's count for the scope with the last download's.

    Raises:
        GbifError: GBIF refused or did not answer, or nothing was downloaded yet.
    """
    before = SourceRecord.read(settings.paths).total_records or 0
    page = api.get("/occurrence/search", Page, {**search_parameters(settings.source), "limit": 0})
    return Growth(before=before, now=page.count)
