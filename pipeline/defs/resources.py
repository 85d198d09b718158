"""What every asset is given: the configuration of its scope. Nothing is computed here."""

import os
from pathlib import Path

import dagster as dg

from pipeline.config import Settings, load_settings

OWNERS = ["team:naturewatch"]
"""Owners of every asset, as Dagster shows them."""


class Scope(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The configuration of one scope, read anew by each step.

    Attributes:
        config_file: The YAML file; empty reads `NATUREWATCH_CONFIG`, then `conf/sample.yaml`.
    """

    config_file: str = ""

    def settings(self) -> Settings:
        """Read the configuration.

        Raises:
            ConfigurationError: a key is unknown or wrong.
        """
        return load_settings(Path(self.config_file) if self.config_file else None)


def run_address(settings: Settings, run_id: str) -> str:
    """Where a person sees this Dagster run."""
    return f"{settings.registry.dagster_url.rstrip('/')}/runs/{run_id}"


def run_tags(settings: Settings, context: dg.AssetExecutionContext) -> dict[str, str]:
    """Tags that lead from an MLflow run back to the Dagster run that made it."""
    return {
        "dagster.run_id": context.run_id,
        "dagster.run_url": run_address(settings, context.run_id),
        "git.commit": os.environ.get("NATUREWATCH_COMMIT", "") or code_commit(),
    }


def code_commit() -> str:
    """The checkout's commit, with `-dirty` when files differ from it; `unknown` outside a git checkout."""
    import subprocess  # noqa: PLC0415 (only here)

    from pipeline.paths import PROJECT_ROOT  # noqa: PLC0415

    answer = subprocess.run(
        ["git", "-C", str(PROJECT_ROOT), "describe", "--always", "--dirty", "--abbrev=40"],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"
