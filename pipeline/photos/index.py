"""Which photographs to fetch, and from where. The rules themselves are in `sql/photos/photo_index_verdicts.sql`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.corrections import read_corrections
from pipeline.files import work_folder
from pipeline.gbif.licences import licence_readings
from pipeline.paths import Paths
from pipeline.query import to_parquet
from pipeline.rejections import write_rejections

if TYPE_CHECKING:
    from pipeline.config.settings import Settings

RULES: Final = (
    "no_address",
    "not_image",
    "not_jpeg",
    "unsupported_address",
    "licence",
    "conflicting_address",
    "duplicate_address",
    "rare_species",
    "correction",
    "no_photo",
    "unusable_correction",
)
"""Why a media row is removed, the first that applies; `no_photo` notes a clean occurrence that is left with none,
`unusable_correction` a line of `labels.corrections` that changes nothing."""

WEB: Final = "^(?i)https?://[^/?#]"
"""Addresses that may be fetched, for DuckDB."""
OWN: Final = "^file:"
"""Addresses of one's own photographs (`pipeline.folder.labelled_records`); no other source may contain them."""

SIZED_HOSTS: Final = ("inaturalist-open-data.s3.amazonaws.com", "static.inaturalist.org", "photos.replica.test")
"""Hosts that keep each photograph in iNaturalist's sizes, under the same id: iNaturalist's two and the replica."""

SIZED: Final = (
    rf"^(?i)(https?://(?:{'|'.join(re.escape(host) for host in SIZED_HOSTS)})/photos/(\d+)/)"
    r"(original|large|medium|small|thumb|square)\.(\w+)(?:\?.*)?$"
)
"""Such an address, for DuckDB (RE2): everything before the size, the photo id, the size, the extension."""


def build_photo_index(paths: Paths, settings: "Settings") -> Path:
    """Judge every media row of the clean occurrences; write the photographs to fetch and the rejections.

    Each media row of a clean occurrence ends in exactly one of `photo_index.parquet` and the rejections of the stage
    `photo_index` (key: photo_id; rule: one of `RULES`).

    Args:
        paths: The files of the scope.
        settings: `photos.size` is the size that addresses of iNaturalist are rewritten to; `allowed_licences` are
            those of photographs that may be used; `photos.skip_rare` leaves out species with fewer than
            `split.min_images` photographs here; `labels.corrections` names photographs that a person has dropped.

    Returns:
        The path of `photo_index.parquet`.

    Raises:
        TableError: `media.parquet` or `clean_occurrences.parquet` is missing, or the corrections cannot be read.
        LockedError: another run is building the same table.
    """
    output = paths.table("photo_index")
    clean = paths.table("clean_occurrences")
    with work_folder(paths.work("photo_index")) as folder:
        licences = licence_readings(paths.table("media"), folder=folder, name="media")
        verdicts = to_parquet(
            "photo_index_verdicts",
            inputs={"media": paths.table("media"), "clean_occurrences": clean, "licences": licences},
            output=folder / "verdicts.parquet",
            addresses=OWN if settings.source.mode == "folder" else WEB,
            sized=SIZED,
            size=settings.photos.size,
            licences=list(settings.allowed_licences),
            least=settings.split.min_images if settings.photos.skip_rare else 0,
        )
        corrections, judged = read_corrections(settings.labels.corrections).photos, None
        if corrections.num_rows:
            judged = to_parquet(
                "photo_corrections",
                inputs={"verdicts": verdicts, "corrections": corrections},
                output=folder / "corrections.parquet",
            )
            verdicts = to_parquet(
                "corrected_photos",
                inputs={"verdicts": verdicts, "corrections": judged},
                output=folder / "corrected.parquet",
            )
        rejected = to_parquet(
            "photo_index_rejections",
            inputs={"verdicts": verdicts, "clean_occurrences": clean},
            output=folder / "rejected.parquet",
        )
        if judged is not None:
            rejected = to_parquet(
                "unusable_corrections",
                inputs={"rejected": rejected, "corrections": judged},
                output=folder / "noted.parquet",
            )
        write_rejections(paths, "photo_index", rejected)
        return to_parquet("photo_index", inputs={"verdicts": verdicts}, output=output)
