"""Machines with GPUs, as NVIDIA's tool would show them; there is none behind it."""

import os
from pathlib import Path

import pytest

A, B, C = (f"GPU-{letter * 8}-1111-2222-3333-{letter * 12}" for letter in "abc")
MIG_1, MIG_2 = (f"MIG-{digit * 8}-aaaa-5bbb-8ccc-{digit * 12}" for digit in "12")
SINGLE = f"GPU 0: NVIDIA H100 80GB HBM3 (UUID: {A})\n"
PAIR = SINGLE + f"GPU 1: NVIDIA H100 80GB HBM3 (UUID: {B})\n"
DIVIDED = (
    SINGLE
    + f"  MIG 3g.40gb     Device  0: (UUID: {MIG_1})\n"
    + f"  MIG 3g.40gb     Device  1: (UUID: {MIG_2})\n"
    + f"GPU 1: NVIDIA L4 (UUID: {C})\n"
)


def nvidia_smi(said: str, *, folder: Path, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> None:
    """Put a tool first on the path that says this when it is asked for a list."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cards").write_text(said, encoding="utf-8")
    tool = folder / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\n[ "$1" = -L ] || exit 2\ncat "{folder / "cards"}"\nexit {status}\n', encoding="utf-8")
    tool.chmod(0o755)
    if str(folder) not in os.environ["PATH"].split(os.pathsep):
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
