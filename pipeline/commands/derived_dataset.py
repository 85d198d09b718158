"""`naturewatch derived-dataset`: registers a dataset version with GBIF, which gives it a DOI of its own.

A command of its own, since it acts on the world for good: `naturewatch provenance` only reads.
"""

import argparse
import datetime as dt
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.config.settings import Settings
    from pipeline.dataset.registration import Registration


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("version", help="a dataset version (16 digits), or a model version by its number or alias")
    parser.add_argument("--title", required=True, help="the title of the derived dataset")
    parser.add_argument(
        "--source-url", metavar="URL", required=True, help="where the data can be got, for good: at Zenodo for instance"
    )
    parser.add_argument(
        "--description", metavar="TEXT", help="how it was made (default: counts and rules in a sentence)"
    )
    parser.add_argument(
        "--registration-date", metavar="DATE", type=dt.date.fromisoformat,
        help="when GBIF shall register the DOI, as 2026-12-31 (default: at once)",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="show the request, and send nothing")


def run(settings: "Settings", options: argparse.Namespace) -> int:
    """Register the dataset, or say what its DOI is.

    Raises:
        GbifError: there is nothing to register, there are no credentials, or GBIF refused.
        RegistryError: there is no such version.
        TableError: the dataset version is not kept here.
    """
    from pipeline.dataset.registration import Registration  # noqa: PLC0415
    from pipeline.launching.replica import source_api  # noqa: PLC0415 (loads MLflow and DuckDB, as the rest)
    from pipeline.provenance.registering import account, prepare, register  # noqa: PLC0415
    from pipeline.provenance.versions import dataset_of, tag_derived  # noqa: PLC0415

    kept = dataset_of(settings, options.version)
    known = Registration.find(settings.paths, kept.version)
    if known is not None:
        versions = tag_derived(settings, kept.version, known)
        print(f"Dataset {kept.version} is registered already, since {known.registered[:10]}.")
        _tell(known, versions)
        return 0
    request = prepare(
        settings,
        kept,
        title=options.title,
        source_url=options.source_url,
        description=options.description,
        registration_date=options.registration_date,
    )
    if options.dry_run:
        print(f"Nothing is sent. The request to {settings.source.api_url}/derivedDataset would be:")
        print(json.dumps(request.body, indent=2, ensure_ascii=False))
        return 0
    with source_api(settings) as api:
        if api.credentials is None:
            api.credentials = account()
        registration, new = register(api, request)
    registration.write(settings.paths, kept.version)
    versions = tag_derived(settings, kept.version, registration)
    print(f"Dataset {kept.version} {'is registered with GBIF' if new else 'was registered with GBIF before'}.")
    _tell(registration, versions)
    return 0


def _tell(registration: "Registration", versions: list[str]) -> None:
    print(f"  DOI        {registration.doi}")
    print(f"  cite       {registration.citation}")
    print(f"  data       {registration.source_url}")
    if versions:
        print(f"  versions   {', '.join(versions)} of the model have it as a tag")
