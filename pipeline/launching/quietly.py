"""`python -m pipeline.launching.quietly MODULE ARGUMENTS...`: runs a module of which a signal leaves no trace.

A child of a run takes seconds to load, and is interrupted with the run; until it handles signals in its own way it ends
at once and without a word, for the run itself says what happened.
"""

from pipeline.launching.interrupts import leave_on_signals

leave_on_signals(says=None)

# ruff: noqa: E402 (from here on it takes a moment)
import runpy
import sys

if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
