"""The record of a fetch that ended incomplete: what happened, to which hosts, and when it is worth trying again.

`fetch/incomplete.json` exists as long as the last fetch was incomplete; the next complete one removes it. Whether a
fetch is incomplete is decided in `pipeline.photos.missing`.
"""

from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from ml.spec import problem_of
from pipeline.errors import TableError
from pipeline.files import write_json
from pipeline.paths import Paths


class IncompleteHost(BaseModel):
    """A host that did not give all its photographs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    """Its name; empty for addresses that name none."""
    photos: int
    """Photographs of it that are missing."""
    closed: bool
    """Whether it was left alone for the rest of the run."""
    reason: str
    """Why, in its last words."""
    opens_at: AwareDatetime | None = None
    """Until when it asked to be left alone, where it did."""


class IncompleteFetch(BaseModel):
    """A fetch that no dataset may be made from: the content of `Paths.incomplete_fetch`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recorded_at: AwareDatetime
    """When the fetch ended (ISO 8601, UTC)."""
    retry_at: AwareDatetime
    """When it is worth trying again (ISO 8601, UTC): the last moment that a host named, else some hours later."""
    missing: int
    """Photographs that are to be asked for again."""
    hosts: tuple[IncompleteHost, ...]
    """The one that most photographs are missing of first."""
    reason: str
    """What happened, to which host, and when to try again, in one sentence for people."""

    @classmethod
    def read(cls, paths: Paths) -> Self | None:
        """The record of the last fetch; None where it was complete, or where there was none yet.

        Raises:
            TableError: the record is damaged.
        """
        try:
            return cls.model_validate_json(paths.incomplete_fetch.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            problem = f"cannot read {paths.incomplete_fetch}: {problem_of(error)}"
            raise TableError(f"{problem}; remove it, and the next fetch writes it anew where it must") from error


def remember(paths: Paths, fetch: IncompleteFetch | None) -> None:
    """Write the record of an incomplete fetch; remove the last one after a complete fetch (None).

    Raises:
        OSError: the file cannot be written or removed.
    """
    if fetch is None:
        paths.incomplete_fetch.unlink(missing_ok=True)
    else:
        write_json(paths.incomplete_fetch, fetch.model_dump(mode="json"))
