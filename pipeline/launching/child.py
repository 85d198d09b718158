"""Runs one function in a short-lived process, so that what it allocates goes back to the system."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import Final, ParamSpec, TypeVar

from pipeline.errors import ChildError, NatureWatchError
from pipeline.paths import PROJECT_ROOT

ONE_BLAS_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""For processes that import NumPy but multiply no matrices: starting a thread per core costs more than the import."""

P = ParamSpec("P")
T = TypeVar("T")


def in_child(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a new process and return what it returns.

    The new process ends when this one does, even if this one is killed. It imports only the function's module and what
    the arguments need, unlike those of `multiprocessing`, which import the main module again.

    Args:
        function: A function of a module, found there by its name.
        *args: Anything that can be pickled.
        **kwargs: As `args`.

    Raises:
        ChildError: the process ended without an answer, or its error cannot be pickled.
        BaseException: whatever `function` raised.
    """
    environment = {
        # The packages can be imported from a checkout without installation, too.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")])),
        # Arrow's own pool keeps much of what was freed.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        **ONE_BLAS_THREAD,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline.launching.child"],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C at a terminal reaches a whole group: this process decides, and the child ends with it.
        start_new_session=True,
    ) as child:
        assert child.stdin is not None  # noqa: S101 (asked for above)
        assert child.stdout is not None  # noqa: S101 (as above)
        try:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(pickle.dumps((function, args, kwargs)))
                child.stdin.flush()
            # The input stays open until the child has answered: its end would end the child.
            answer = child.stdout.read()
            status = child.wait()
        finally:
            child.kill()
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
    name = f"{function.__module__}.{function.__qualname__}"
    if status < 0:
        end = signal.Signals(-status).name
        raise ChildError(f"the process of {name} was ended by {end}; the machine may lack memory; start again")
    if status > 0:
        raise ChildError(f"the process of {name} ended with status {status}; its output above says why")
    result, error = pickle.loads(answer)  # noqa: S301 (written by `_serve`)
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _serve() -> None:
    """Call the function that comes on standard input; answer (result, error) on standard output."""
    # What the function prints must not mix with the answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.meta_path.insert(0, _WithoutPandas())
    function, args, kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301 (written by `in_child`)
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        answer = pickle.dumps((function(*args, **kwargs), None))
    except Exception as error:  # noqa: BLE001 (it is raised again by `in_child`)
        answer = pickle.dumps((None, _portable(error)))
    with answers:
        answers.write(answer)


class _WithoutPandas(MetaPathFinder):
    """Hides pandas: Arrow imports it at the first conversion, which takes longer than the queries.

    `sys.modules["pandas"] = None` would not do: Arrow's compiled import takes the None for the module.
    """

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """As the import system calls it."""
        del path, target
        if fullname == "pandas":
            raise ModuleNotFoundError("a child process does without pandas", name=fullname)


def _end_with_input() -> None:
    """End the process when its parent is gone."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _portable(error: Exception) -> Exception:
    """The error in a form that can be pickled; an unexpected one carries its traceback as a note."""
    if not isinstance(error, NatureWatchError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (written here)
    except Exception:  # noqa: BLE001 (any class may refuse)
        return ChildError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    _serve()
