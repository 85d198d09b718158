"""JSON documents between processes: written whole, and read or refused with a reason. Imports nothing heavy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from ml.errors import MlError
from ml.files import replacing

RESULT_FILE = "result.json"
"""Written last by every child: where it exists, the work is done."""
OTHER_VERSION = "another version wrote it"


class DocumentError(MlError):
    """A document is missing, damaged, or was written by another version."""

    def __init__(self, problem: str, *, advice: str = "", other_version: bool = False) -> None:
        super().__init__(problem + advice)
        self.problem = problem
        """The message without the advice, which does not apply to a document in a registered model."""
        self.other_version = other_version


def problem_of(error: OSError | ValueError) -> str:
    """Why a JSON document cannot be read, in words for people: what pydantic or the system said of it."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if not isinstance(error, ValidationError):
        return "it is no JSON in UTF-8"
    problems = error.errors(include_url=False, include_input=False)
    if any(problem["type"] == "json_invalid" for problem in problems):
        return "it is cut short or no JSON"
    named = {"missing": "without", "extra_forbidden": "with the unknown"}
    keys = [
        f"{named.get(problem['type'], 'with a wrong')} {'.'.join(map(str, problem['loc'])) or 'content'}"
        for problem in problems
    ]
    shown = ", ".join(keys[:5]) + (", ..." if len(keys) > 5 else "")
    return f"{OTHER_VERSION} ({shown})"


class Document(BaseModel):
    """A JSON document that is written whole, and read or refused with a reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def write(self, path: Path) -> Path:
        """Write this document atomically as JSON and return `path`."""
        with replacing(path) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a document written by `write`.

        Raises:
            DocumentError: it is missing, damaged, or was written by a version with other keys.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            # A result has its own folder; what else is in the folder of a specification is not known.
            advice = f"; remove the folder {path.parent} and run again" if path.name == RESULT_FILE else ""
            problem = problem_of(error)
            raise DocumentError(
                f"cannot read {path}: {problem}", advice=advice, other_version=problem.startswith(OTHER_VERSION)
            ) from error


class Result(Document):
    """A document that names files of its own folder, with relative paths, so that the folder may be moved."""

    def write(self, path: Path) -> Path:
        """Write this document atomically as JSON, its paths relative to its folder, and return `path`."""
        folder = path.parent

        def relative(file: Path) -> Path:
            return file.relative_to(folder) if file.is_relative_to(folder) else file

        super(Result, self._placed(relative)).write(path)
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a document written by `write`; its paths lead into the folder where it is now."""
        folder = path.parent

        def here(file: Path) -> Path:
            # A document of an earlier version has the absolute path it was written with; the folder may have moved.
            if file.is_absolute() and folder.name in file.parts and not file.is_relative_to(folder):
                moved = folder.joinpath(*file.parts[len(file.parts) - file.parts[::-1].index(folder.name) :])
                return moved if moved.exists() else file
            return folder / file

        return super().read(path)._placed(here)

    def _placed(self, place: Callable[[Path], Path]) -> Self:
        """The same with other paths."""
        return cast("Self", _with_paths(self, place))


def _with_paths(value: Any, place: Callable[[Path], Path]) -> Any:  # noqa: ANN401 (a field of any type)
    """A document or a value of one, its paths, those of documents inside it too, led elsewhere."""
    match value:
        case Path():
            return place(value)
        case dict():
            return {key: _with_paths(one, place) for key, one in value.items()}
        case tuple():
            return tuple(_with_paths(one, place) for one in value)
        case Document():
            changed = {name: _with_paths(getattr(value, name), place) for name in type(value).model_fields}
            return value.model_copy(update=changed)
        case _:
            return value
