"""Which code made a result, as git says."""

import shutil
import subprocess

from pipeline.paths import PROJECT_ROOT


def code_commit() -> str:
    """The checkout's commit, with `-dirty` when files differ from it; `unknown` without git or outside a checkout."""
    if shutil.which("git") is None:
        return "unknown"
    answer = subprocess.run(
        ["git", "-C", str(PROJECT_ROOT), "describe", "--always", "--dirty", "--abbrev=40"],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"
