"""Answers as files: tables, and other programs' formats, handed out by the page's server."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from pydantic import ValidationError

from ml import exports
from ml.errors import MlError
from ml.identify.answer_files import Destination
from ml.page.api_shapes import ExportRequest
from ml.page.page_api import Server, refusals
from ml.page.request_body import Body

router = APIRouter()

MOST_BYTES: Final = 64_000_000
"""Of the answers in a request."""
TABLES: Final = {
    "csv": (".csv", "text/csv"),
    "jsonl": (".jsonl", "application/x-ndjson"),
    "parquet": (".parquet", "application/vnd.apache.parquet"),
}
FILES: Final = {**TABLES, **{name: (each.suffix, each.media_type) for name, each in exports.FORMATS.items()}}
"""By format, the ending and the media type of the file."""
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ExportRequest"}}},
    }
}
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": {kind: {} for kind in sorted({kind for _, kind in FILES.values()})}},
    **refusals(400, 403, 404, 408, 413, 415, 422),
}


@router.post("/api/export/{format_name}", responses=_RESPONSES, response_class=Response, openapi_extra=_BODY)
async def export(request: Request, server: Server, format_name: str) -> Response:
    """Answers and errors, as this server gave them, in a format of the field or as a table."""
    if format_name not in FILES:
        raise HTTPException(404, f"there is no such format; known are {', '.join(FILES)}")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "answers are sent as application/json")
    body = await Body(request, limits=server.settings.limits, most=MOST_BYTES).whole()
    suffix, media_type = FILES[format_name]
    try:
        content = await server.queue.in_decoder(_written, body, format_name=format_name, suffix=suffix)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = " > ".join(str(step) for step in first["loc"])
        raise HTTPException(422, f"the body is no list of answers: {place}: {first['msg']}") from error
    except MlError as error:
        raise HTTPException(422, str(error)) from error
    name = f"naturewatch-{format_name}{suffix}" if suffix != f".{format_name}" else f"naturewatch{suffix}"
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _written(body: bytes, *, format_name: str, suffix: str) -> bytes:
    """The file that a request's body asks for.

    Raises:
        ValidationError: it holds no answers.
        MlError: the format lacks something.
    """
    asked = ExportRequest.model_validate_json(body, strict=True)
    options = asked.options or {}
    if options.get("base") is not None:
        raise exports.ExportError("this server opens no files: leave the option base out")
    answers = [answer.model_dump(exclude_unset=True) for answer in asked.answers]
    listed = max((len(answer.get("top", ())) for answer in answers), default=0)
    with TemporaryDirectory(prefix="naturewatch-") as folder:
        path = Path(folder, f"answers{suffix}")
        if format_name in TABLES:
            table = Destination(path=path, format=format_name, top=listed)
            table.write(answers, identified=datetime.now(UTC))
        else:
            exports.write(format=format_name, answers=answers, path=path, options=exports.ExportOptions.of(options))
        return path.read_bytes()
