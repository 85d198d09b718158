"""A virtual environment for each peer: `.venv-peers/<name>`, made when it is missing."""

import subprocess
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent.parent / ".venv-peers"
REQUIREMENTS: Final = {"img2dataset": "img2dataset==1.47.0", "gbif-dl": "gbif-dl==0.1.1"}


def python_of(name: str) -> Path | None:
    """The interpreter of a peer's environment; None, after pip's error was printed, if it cannot be installed."""
    environment = FOLDER / name
    ready = environment / "ready"
    python = environment / "bin" / "python"
    if ready.exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", REQUIREMENTS[name]]
    found = subprocess.run(pip, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        print(f"{name} cannot be installed here:\n{found.stderr[-2000:]}", file=sys.stderr)
        return None
    ready.touch()
    return python
