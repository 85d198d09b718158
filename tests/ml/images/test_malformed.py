"""Each of two hundred malformed files is read right or refused in one sentence, in bounded memory and time."""

import re
import resource
import subprocess
import sys
import warnings

import numpy as np
import pytest

from ml.errors import PhotoError
from ml.images.photograph import upright_pixels
from tests.malformed import Case, cases

MEGABYTE = 2**20
PEAK = 400 * MEGABYTE
"""What a process may hold while it reads all of them, interpreter, NumPy and generator included."""
SECONDS = 60
"""Of processor time, for all of them: they take less than one."""


def verdict(case: Case) -> str:
    """Empty where a case comes out right, else what is wrong."""
    try:
        with warnings.catch_warnings():
            # Pillow's, about damage that it passes over.
            warnings.simplefilter("ignore")
            pixels = upright_pixels(case.content)
    except PhotoError as error:
        sentence = str(error)
        if case.right == "answer":
            return f"{case.name} was refused: {sentence}"
        one = "\n" not in sentence and len(sentence) < 400
        return "" if one and re.search(case.says, sentence) else f"{case.name}: {sentence}"
    if case.right == "error":
        return f"{case.name} was read"
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.flags.writeable:
        return f"{case.name} became {pixels.dtype} {pixels.shape}"
    if case.right == "answer":
        assert case.pixels is not None, case.name
        if pixels.shape != case.pixels.shape:
            return f"{case.name} has the shape {pixels.shape}, not {case.pixels.shape}"
        difference = np.abs(pixels.astype(int) - case.pixels).mean()
        if difference > case.tolerance:
            return f"{case.name} differs by {difference:.1f}, more than {case.tolerance}"
    return ""


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_malformed_file_is_read_right_or_refused_in_one_sentence(case: Case) -> None:
    assert verdict(case) == ""


def test_there_are_more_than_a_hundred_of_every_kind() -> None:
    assert len(cases()) > 200
    for right, least in (("answer", 80), ("error", 80), ("either", 20)):
        assert sum(case.right == right for case in cases()) > least
    for ending in ("jpg", "png", "webp", "avif", "heic"):
        endings = [case for case in cases() if case.name.endswith(f".{ending}")]
        assert {case.right for case in endings} == {"answer", "error", "either"}


def test_all_of_them_are_read_in_bounded_memory_and_time() -> None:
    """Memory that decoders take in C counts too: the peak is the process's own."""

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    child = subprocess.run(
        [sys.executable, "-c", _READ_ALL],
        check=False, capture_output=True, text=True, timeout=5 * SECONDS, preexec_fn=limits,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    read, peak = (int(word) for word in child.stdout.split())
    assert read == len(cases())
    assert peak < PEAK


_READ_ALL = """
from pathlib import Path
from tests.malformed import cases
from tests.ml.images.test_malformed import verdict
wrong = [said for said in map(verdict, cases()) if said]
assert not wrong, wrong
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(len(cases()), int(status["VmHWM"].split()[0]) * 1024)
"""
