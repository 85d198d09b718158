"""The endpoint, asked what its own description allows, and much that it does not."""

from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.ml.page.page_server import Running

EXAMPLES = 8
"""Requests of each kind to each operation."""


def test_nothing_that_is_asked_breaks_the_server_and_answers_are_as_described(page: Running) -> None:
    schema = schemathesis.openapi.from_url(f"{page.address}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert {operation.label for operation in operations} == {
        "GET /health",
        "GET /api/model",
        "GET /api/taxa",
        "GET /api/place",
        "GET /api/occurrences",
        "GET /api/examples",
        "GET /examples/{photo_id}.jpg",
        "POST /api/identify",
        "POST /api/views",
        "POST /api/export/{format_name}",
        "GET /v2/_status",
        "GET /v2/languages",
        "GET /v2/projects",
        "POST /v2/identify/{project}",
    }
    for operation in operations:
        ask(operation, GenerationMode.POSITIVE, page)
        if operation.body or operation.query:
            ask(operation, GenerationMode.NEGATIVE, page)


def ask(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, page: Running) -> None:
    """Send requests that the description allows, or that it does not."""

    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def each(case: Case[Any]) -> None:
        hypothesis.assume(not allowed_after_all(case))
        # What is in a file, a question or an answer can be wrong in more ways than a schema says.
        beyond: list[CheckFunction] = [positive_data_acceptance] if operation.method == "post" else []
        case.call_and_validate(base_url=page.address, excluded_checks=beyond)

    each()


def allowed_after_all(case: Case[Any]) -> bool:
    """Whether a request is wrong only in having null for a field that may be null.

    Such a field is described by alternatives; what is no value of one of them may be a value of the other.
    """
    mutations = getattr(case.meta.phase.data, "mutations", ()) if case.meta else ()
    nulls = [each for each in mutations if "/anyOf/" in (each.schema_pointer or "") and each.new_value is None]
    return bool(mutations) and len(nulls) == len(mutations)
