"""What is computed: taxonomy arrays, networks, training, specificity and serving. Runs without Dagster."""

from typing import TYPE_CHECKING

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Refuse the code of a registered model that brings another layout of this package, which it names first."""
        if name == "invocations":
            raise ImportError(
                "this model brings a copy of the package ml with other modules than the one that this process has "
                "imported: load it in a new process, before anything imports ml, or ask it with `naturewatch identify`"
            )
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
