"""Answers as files of other programs, handed out by the page's server."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from ml import exports
from ml.exports import FORMATS, ExportError, ExportOptions
from ml.page.api_shapes import ExportRequest
from ml.page.page_api import Server, refusals
from ml.page.uploads import body_of

router = APIRouter()

MOST_BYTES: Final = 64_000_000
"""Of the answers in a request."""
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": ExportRequest.model_json_schema()}},
    }
}
_FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {kind: {} for kind in sorted({each.media_type for each in FORMATS.values()})},
    }
}


@router.post(
    "/api/export/{format_name}",
    responses={**_FILES, **refusals(400, 403, 404, 408, 413, 415, 422)},
    response_class=Response,
    openapi_extra=_BODY,
)
async def export(request: Request, server: Server, format_name: str) -> Response:
    """Answers and errors, as this server gave them, in a format of the field."""
    known = FORMATS.get(format_name)
    if known is None:
        raise HTTPException(404, f"there is no such format; known are {', '.join(FORMATS)}")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "answers are sent as application/json")
    body = bytearray()
    async for piece in body_of(request, limits=server.settings.limits, most=MOST_BYTES):
        body += piece
    try:
        content = await server.queue.in_decoder(_written, bytes(body), format_name=format_name, suffix=known.suffix)
    except ExportError as error:
        raise HTTPException(422, str(error)) from error
    name = f"naturewatch-{format_name}{known.suffix}"
    return Response(
        content, media_type=known.media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _written(body: bytes, *, format_name: str, suffix: str) -> bytes:
    """The file that a request's body asks for.

    Raises:
        ExportError: it asks for none.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ExportError("the body is not JSON") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("answers"), list):
        raise ExportError("the body must be an object with a list of answers")
    unknown = sorted(set(fields) - {"answers", "options"})
    if unknown:
        raise ExportError(f"the body holds {unknown[0][:40]!r}; known are answers and options")
    options = fields.get("options")
    if isinstance(options, dict) and options.get("base") is not None:
        raise ExportError("this server opens no files: leave the option base out")
    with TemporaryDirectory(prefix="naturewatch-") as folder:
        path = Path(folder, f"answers{suffix}")
        exports.write(format=format_name, answers=fields["answers"], path=path, options=ExportOptions.of(options))
        return path.read_bytes()
