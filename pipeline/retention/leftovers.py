"""What killed runs left below a data root and in the system's temporary folder. What is locked belongs to a live one.

Every name that a writer uses until its work is whole:

- `.NAME.RANDOM.partial`, a folder that its writer locks (`pipeline.files.atomic_path`); a file, of earlier versions
- `.NAME.partial` (`ml.files.replacing`), `SHA256.jpg.PID.partial` (`pipeline.photos.bodies`)
- `KEY.zip.partial`, a download that the next run resumes, while it is the one that was asked for
- `.NAME.pruned.partial`: a folder that a killed pruning was removing
- `*.spill-*`, of earlier versions
- `work/ASSET`, beside the lock of whoever uses it; `checkpoints`, `frozen`, `features` and `head.safetensors` of a
  training that is finished
- `naturewatch-PID-RANDOM` in the system's temporary folder: what DuckDB could not hold in memory
"""

import contextlib
import fcntl
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.paths import Paths
from pipeline.retention.removals import Kind, Removal
from pipeline.retention.sizes import size_of

KILLED: Final = "a killed run left it"
RESUMED_DAYS: Final = 7
"""Days for which a download that was broken off can be resumed."""
_PARTIAL: Final = re.compile(r".+\.partial(\.validator)?|\..+\.spill-.*|.+\.spill-.*")
_RESUMABLE: Final = re.compile(r"(?P<key>.+)\.zip\.partial(\.validator)?")
_SPILL: Final = re.compile(r"naturewatch-(?P<process>\d+)-[0-9a-f]{32}")
UNFINISHED: Final = ("checkpoints", "frozen", "features", "head.safetensors")
"""What only an unfinished training needs."""


def find_leftovers(paths: Paths, *, now: float | None = None) -> list[Removal]:
    """All leftovers but half-written photographs, which are found with the whole ones.

    Args:
        paths: The files of the scope.
        now: Seconds since 1970; default the present moment.
    """
    moment, root = time.time() if now is None else now, paths.data_root
    partial = (
        path
        for path in _partial(root, skip={paths.photos, paths.mlflow_artifacts})
        if not is_locked(path) and not _is_resumed(path, now=moment)
    )
    work = (
        path
        for path in sorted(paths.work("x").parent.glob("*"))
        if path.is_dir() and not is_locked(path.with_name(f"{path.name}.lock"))
    )
    unfinished = (
        result.parent / name
        for result in sorted(root.glob("models/*/*/result.json"))
        for name in UNFINISHED
        if (result.parent / name).exists()
    )
    return [
        *(leftover(root, path, reason=KILLED) for path in (*partial, *work, *_spilled())),
        *(leftover(root, path, reason="its training is finished") for path in unfinished),
    ]


def leftover(root: Path, path: Path, *, reason: str) -> Removal:
    """A file or folder as something that goes."""
    name = str(path.relative_to(root) if path.is_relative_to(root) else path)
    return Removal(kind=Kind.LEFTOVER, name=name, bytes=size_of(path), reason=reason)


def is_locked(path: Path) -> bool:
    """Whether a live process holds the lock on a file or folder; not, where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _partial(root: Path, *, skip: set[Path]) -> Iterator[Path]:
    """Files and folders with such names, the topmost ones, without those below `skip`."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        for name in sorted([*folders, *files]):
            if _PARTIAL.fullmatch(name):
                yield here / name
        folders[:] = [name for name in folders if here / name not in skip and not _PARTIAL.fullmatch(name)]


def _is_resumed(path: Path, *, now: float) -> bool:
    """Whether it is a part of a download that the next run goes on with."""
    found = _RESUMABLE.fullmatch(path.name)
    if found is None:
        return False
    asked = None
    # A request that cannot be read is made anew, and the download with it.
    with contextlib.suppress(OSError, ValueError):
        asked = json.loads((path.parent / "request.json").read_text(encoding="utf-8"))
    wanted = not isinstance(asked, dict) or asked.get("key") in (None, found["key"])
    return wanted and now - path.stat().st_mtime < RESUMED_DAYS * 86_400


def _spilled() -> Iterator[Path]:
    """Folders of this account's DuckDB connections whose process has ended."""
    for path in sorted(Path(tempfile.gettempdir()).glob("naturewatch-*")):
        found = _SPILL.fullmatch(path.name)
        # Another account's may be in use on another host.
        with contextlib.suppress(FileNotFoundError):
            if found and path.stat().st_uid == os.geteuid() and not Path(f"/proc/{found['process']}").exists():
                yield path
