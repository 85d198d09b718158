"""What the child that puts model versions to the exam is asked."""

from collections.abc import Sequence

from ml.spec import ExaminedVersion, ExamSpec
from pipeline.config.settings import Settings
from pipeline.files import digest_of, sha256_of


def exam_spec(
    settings: Settings,
    *,
    challenger: ExaminedVersion,
    champion: ExaminedVersion | None,
    rivals: Sequence[ExaminedVersion],
) -> ExamSpec:
    """The specification of `python -m ml exam`: which versions answer which photographs.

    Raises:
        FileNotFoundError: there is no exam yet.
    """
    paths = settings.paths
    # Data from before places were kept have no such table: versions are told nothing then.
    places = paths.table("places") if paths.table("places").exists() else None
    tables = [sha256_of(table) for table in (paths.table("exam"), places) if table is not None]
    versions = [version.model_dump() for version in (challenger, champion, *rivals) if version is not None]
    return ExamSpec(
        output=paths.exam_answers / "last",
        spec_hash=digest_of(*tables, settings.specificity.target, versions),
        exam=paths.table("exam"),
        taxonomy=paths.table("taxonomy"),
        renames=paths.exam_renames,
        splits=paths.exam_splits,
        places=places,
        photographs=paths.data_root,
        answers=paths.exam_answers / "answers",
        registry=settings.tracking_uri,
        target=settings.specificity.target,
        challenger=challenger,
        champion=champion,
        rivals=tuple(rivals),
    )
