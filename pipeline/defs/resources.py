"""What every asset is given: the configuration of its scope. Nothing is computed here."""

from pathlib import Path

import dagster as dg

from pipeline.config.settings import Settings, load_settings
from pipeline.registry.provenance import code_commit

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
        "dagster.run_id": context.run.run_id,
        "dagster.run_url": run_address(settings, context.run.run_id),
        "git.commit": code_commit(),
    }
