"""How MLflow hands requests to the served model: as they were sent.

MLflow's own way takes the first column of a table for the photographs, drops parameters that the signature does not
know with a line in the log, makes arrays of texts as wide as the longest, and repeats the request, or a stack trace, in
the error that it answers with. Models that bring a method `identify` are given the request itself instead; all others
are served as ever. MLflow has no place to say so but the two functions that are wrapped here.
"""

import csv
import functools
import io
import json
import sys
from collections.abc import Mapping
from email.message import Message
from typing import Any, Final, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PyFuncModel, scoring_server

from ml.serving.inputs import RequestError, column_of

FORMS: Final = ("inputs", "instances", "dataframe_records", "dataframe_split")
"""MLflow's names for the photographs in a JSON request."""
_WRAPPED: Final = "_naturewatch_hands_over_unchanged"


class Request(NamedTuple):
    """What a body holds, not yet looked into."""

    photographs: object
    params: object = None


def hand_over_unchanged() -> None:
    """Let MLflow hand requests over as they were sent, in this process and from its server; once is enough."""
    if hasattr(PyFuncModel.predict, _WRAPPED):
        return
    predict, invocations = PyFuncModel.predict, cast("Any", scoring_server.invocations)

    @functools.wraps(predict)
    def predict_unchanged(self: PyFuncModel, data: Any, params: Any = None) -> Any:  # noqa: ANN401 (MLflow's signature)
        model = _identifier(self)
        return predict(self, data, params) if model is None else model.predict(None, data, params)

    @functools.wraps(invocations)
    def invocations_unchanged(data: Any, content_type: Any, model: Any, input_schema: Any) -> Any:  # noqa: ANN401
        identifier = _identifier(model)
        if identifier is None:
            return invocations(data, content_type, model, input_schema)
        header = Message()
        header["content-type"] = content_type or "application/json"
        parse = _PARSERS.get(header.get_content_type())
        if parse is None or header.get_content_charset("utf-8") != "utf-8":
            reason = f"the body must be {', '.join(_PARSERS)}, in UTF-8"
            return scoring_server.InvocationsResponse(response=reason, status=415, mimetype="text/plain")
        try:
            request = parse(data)
        except RequestError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        answers = identifier.identify(request.photographs, request.params, paths=False)
        response = json.dumps({"predictions": answers})
        return scoring_server.InvocationsResponse(response=response, status=200, mimetype="application/json")

    setattr(predict_unchanged, _WRAPPED, True)
    PyFuncModel.predict = predict_unchanged  # type: ignore[method-assign]
    scoring_server.invocations = invocations_unchanged


def _identifier(model: PyFuncModel) -> Any:  # noqa: ANN401 (ml.serving.model.Identifier, of whichever copy of this package)
    """The Python model behind MLflow's, where it is one that takes requests as they are."""
    # MLflow declares this attribute stable for developers.
    python_model = getattr(model._model_impl, "python_model", None)
    return python_model if hasattr(python_model, "identify") else None


def of_json(body: bytes) -> Request:
    """The photographs and parameters of a JSON request in one of MLflow's forms.

    Raises:
        RequestError: it is none.
    """
    try:
        # MLflow reads a byte-order mark as an error; what a client's editor leaves there means nothing.
        fields = json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RequestError(f"the body is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise RequestError(f"the body is not JSON: {error.msg}, line {error.lineno} column {error.colno}") from error
    except ValueError as error:
        raise RequestError("the body holds a number of too many digits") from error
    except RecursionError as error:
        raise RequestError("the body is nested too deeply") from error
    known = f"one of {', '.join(FORMS)}, and params"
    if not isinstance(fields, dict):
        raise RequestError(f"the body must be a JSON object with {known}")
    forms = [name for name in FORMS if name in fields]
    if len(forms) != 1 or not set(fields) <= {*forms, "params"}:
        raise RequestError(f"the body must hold {known}, and nothing else")
    photographs = fields[forms[0]]
    if forms[0] == "dataframe_split":
        photographs = _split(photographs)
    return Request(photographs, fields.get("params"))


def of_csv(body: bytes) -> Request:
    """The photographs of a CSV with a header.

    Raises:
        RequestError: it is none.
    """
    # A photograph in base64 is longer than a field may be by default.
    csv.field_size_limit(sys.maxsize)
    try:
        header, *rows = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        raise RequestError("the body is not a CSV with a header, in UTF-8") from error
    return Request(_cells(header, [row for row in rows if row]))


def of_parquet(body: bytes) -> Request:
    """The photographs of a Parquet file.

    Raises:
        RequestError: it is none.
    """
    try:
        table = pq.read_table(pa.BufferReader(body))
    except (pa.ArrowException, OSError) as error:
        raise RequestError("the body is not a Parquet file") from error
    return Request(table.column(column_of(table.column_names)).to_pylist())


def _split(table: object) -> list[object]:
    """The photographs of pandas' form `split`: columns, perhaps an index, and rows."""
    if not isinstance(table, Mapping) or not {"data"} <= set(table) <= {"columns", "index", "data"}:
        raise RequestError("dataframe_split must be an object of columns and data")
    rows = table["data"]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise RequestError("the data of dataframe_split must be a list of rows")
    columns = table.get("columns")
    if columns is None:
        columns = list(range(len(rows[0]) if rows else 1))
    if not isinstance(columns, list):
        raise RequestError("the columns of dataframe_split must be a list of names")
    return _cells(columns, rows)


def _cells(columns: list[Any], rows: list[list[Any]]) -> list[object]:
    position = column_of(columns)
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise RequestError(f"row {number} of the table has {len(row)} cells, but there are {len(columns)} columns")
    return [row[position] for row in rows]


_PARSERS: Final = {
    "application/json": of_json, "text/csv": of_csv, "application/vnd.apache.parquet": of_parquet,
}  # fmt: skip
