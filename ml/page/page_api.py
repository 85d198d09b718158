"""The page's own endpoint: the model, its taxa, answers, views and example photographs."""

import json
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from ml.errors import PhotoError
from ml.images.photograph import FORMATS
from ml.page import api_shapes
from ml.page.answer_queue import unless_gone
from ml.page.served_model import ServedModel
from ml.page.shared import Shared, shared
from ml.page.uploads import Form, uploaded
from ml.page.view_pictures import view_pictures
from ml.serving.cases import CalibratedCase
from ml.serving.question import Question, QuestionError
from ml.serving.versions import shown
from ml.spec import RANKS
from ml.specificity.operating_points import DECIMALS
from ml.taxonomy import TaxonError, Taxonomy

router = APIRouter()
Server = Annotated[Shared, Depends(shared)]

EXAMPLES: Final = 6
"""Example photographs of a taxon."""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of refusals with these statuses."""
    return {status: {"model": api_shapes.Refusal} for status in statuses}


def multipart(**fields: dict[str, Any]) -> dict[str, Any]:
    """The documentation of a multipart body; fields whose description has `required` must be there."""
    required = [name for name, field in fields.items() if field.pop("required", False)]
    schema = {"type": "object", "properties": fields, "required": required}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def files_field(most: int) -> dict[str, Any]:
    """The documentation of a field with photographs."""
    file = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    return {"type": "array", "items": file, "minItems": 1, "maxItems": most, "required": True}


UPLOADS: Final = (400, 403, 408, 413, 415, 422, 429, 503)


@router.get("/health", responses={503: {"model": api_shapes.Health}})
async def health(server: Server) -> api_shapes.Health:
    """Whether a version answers."""
    model, problem = server.follower.model, server.follower.problem
    facts = {
        "status": "ok" if model is not None else problem,
        "model": None if model is None else model.model,
        "registry": shown(server.settings.tracking_uri),
        "problem": problem,
    }
    return JSONResponse(facts, 503 if model is None else 200)  # type: ignore[return-value]


@router.get("/api/model", responses=refusals(503))
async def describe(server: Server) -> api_shapes.Model:
    """The version that answers: card, thresholds, watch-list, limits."""
    return JSONResponse(_described(server.follower.answering(), server))  # type: ignore[return-value]


def _described(model: ServedModel, server: Shared) -> dict[str, Any]:
    answering, settings = model.identification.answering, server.settings
    limits, taxonomy = settings.limits, answering.taxonomy
    tables = {case: _tabulated(own, taxonomy) for case, own in answering.cases.items()}
    alone = tables.pop("neither")
    return {
        **model.model,
        "dataset_version": model.dataset_version,
        "card": model.card,
        "target": answering.calibration.target,
        "thresholds": alone,
        "places": {"cases": list(answering.cases), **model.places, "thresholds": tables}
        if tables and model.places
        else None,
        "classes": taxonomy.class_count,
        "ranks": list(RANKS),
        "novelty": answering.novelty is not None,
        "watch": [{"taxon": taxon.taxon, "threshold": taxon.threshold} for taxon in answering.calibration.watch],
        "formats": list(FORMATS),
        "limits": {
            "files": limits.files,
            "bytes": limits.file_bytes,
            "request_bytes": limits.request_bytes,
            "pixels": limits.pixels,
        },
        "report": "/report" if settings.report is not None and settings.report.is_file() else None,
    }


def _tabulated(case: CalibratedCase, taxonomy: Taxonomy) -> dict[str, Any]:
    """The table of one case, with what is promised at each of its targets."""
    table = case.thresholds
    targets, thresholds = table.targets.tolist(), np.round(table.thresholds, DECIMALS).tolist()
    return {
        "rule": table.rule,
        "targets": targets,
        "groups": [
            {"name": taxonomy.name[node], "taxon_key": taxonomy.taxon_key[node]} for node in table.groups.tolist()
        ],
        "thresholds": thresholds,
        "reachable": table.reachable.tolist(),
        "promises": [
            [
                case.promises.of(target, group, threshold=threshold, within="", region=False)["text"]
                for group, threshold in enumerate(row)
            ]
            for target, row in zip(targets, thresholds, strict=True)
        ],
    }


@router.get("/api/taxa", responses=refusals(422, 503))
async def taxa(
    server: Server,
    query: Annotated[str, Query(max_length=500, description="What a person has written so far.")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> list[api_shapes.FoundTaxon]:
    """Taxa of the model whose name, common name or key begins or holds what is asked for."""
    model = server.follower.answering()
    return JSONResponse(await server.queue.in_decoder(model.search.find, query, limit=limit))  # type: ignore[return-value]


@router.post(
    "/api/identify",
    responses=refusals(*UPLOADS),
    openapi_extra=multipart(
        images=files_field(200),
        question=api_shapes.QuestionFields.model_json_schema(),
        together={"type": "string", "enum": ["true", "false"], "description": "All show one organism."},
    ),
)
async def identify(request: Request, server: Server) -> api_shapes.Identified:
    """What is on photographs: an answer or an error for each, in order."""
    model, limits = server.follower.answering(), server.settings.limits
    with server.queue.place():
        async with uploaded(request, file_field="images", most=limits.files, limits=limits) as form:
            question = question_of(form)
            answering = server.queue.answers(
                model, form.photographs, question, model.plan(question), together=truth_of(form, "together")
            )
            answers = await unless_gone(request, answering)
    return JSONResponse({"model": model.model, "answers": answers})  # type: ignore[return-value]


@router.post(
    "/api/views",
    responses=refusals(*UPLOADS),
    openapi_extra=multipart(
        image={"type": "string", "format": "binary", "required": True},
        region={
            "type": "array",
            "items": {"type": "number"},
            "minItems": 4,
            "maxItems": 4,
            "contentMediaType": "application/json",
            "description": "Left, upper, right and lower edge, as fractions.",
        },
    ),
)
async def views(request: Request, server: Server) -> api_shapes.Views:
    """A photograph, and the parts of it that the network gets."""
    model, limits = server.follower.answering(), server.settings.limits
    with server.queue.place():
        async with uploaded(request, file_field="image", most=1, limits=limits) as form:
            question = Question.of({"region": json_of(form, "region")})
            content = await form.photographs[0].read()
            try:
                pictures = await server.queue.in_decoder(
                    view_pictures, content, spec=model.identification.classifier.network.spec, region=question.region,
                    max_pixels=limits.pixels,
                )  # fmt: skip
            except PhotoError as error:
                raise HTTPException(422, str(error)) from error
    return JSONResponse(pictures)  # type: ignore[return-value]


@router.get("/api/examples", responses=refusals(422, 503))
async def examples(
    server: Server,
    taxon_key: Annotated[str, Query(max_length=200, description="Of a species, or of a taxon above it.")],
    limit: Annotated[int, Query(ge=1, le=50)] = EXAMPLES,
) -> list[api_shapes.Example]:
    """Photographs of the dataset that show a taxon."""
    return JSONResponse(server.examples.of(_species_below(server, taxon_key), limit=limit))  # type: ignore[return-value]


def _species_below(server: Shared, taxon_key: str) -> list[str]:
    """The keys of the species of a taxon; of one that the model does not know, its own."""
    taxonomy = server.follower.answering().identification.answering.taxonomy
    try:
        node = taxonomy.find(taxon_key)
    except TaxonError:
        return [taxon_key]
    leaves = taxonomy.leaves[taxonomy.leaf_begin[node] : taxonomy.leaf_end[node]]
    return [key for key in (taxonomy.taxon_key[leaf] for leaf in leaves.tolist()) if key is not None]


@router.get(
    "/examples/{photo_id}.jpg",
    responses={200: {"content": {"image/jpeg": {}}}, **refusals(404)},
    response_class=Response,
)
async def example(server: Server, photo_id: str) -> Response:
    """An example photograph, scaled down."""
    try:
        picture = await server.queue.in_decoder(server.examples.picture, photo_id)
    except PhotoError as error:
        raise HTTPException(404, f"this photograph cannot be shown: {error}") from error
    if picture is None:
        raise HTTPException(404, "there is no example of this name")
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})


def question_of(form: Form) -> Question:
    """The question of a form.

    Raises:
        QuestionError: it is none.
    """
    return Question.of(json_of(form, "question"))


def json_of(form: Form, field: str) -> Any:  # noqa: ANN401 (whatever a client sends)
    """The value of a field that holds JSON; None where there is no such field.

    Raises:
        QuestionError: it holds something else.
    """
    text = form.text(field)
    if text is None or not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise QuestionError(f"the field {field} does not hold JSON") from error


def truth_of(form: Form, field: str) -> bool:
    """The value of a field that is true or false; false where there is no such field.

    Raises:
        QuestionError: it is neither.
    """
    text = (form.text(field) or "false").strip().lower()
    if text not in {"true", "false"}:
        raise QuestionError(f"the field {field} must be true or false")
    return text == "true"
