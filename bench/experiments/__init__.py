"""The paper's experiments in miniature, on real photographs: `make experiments`.

`rows` says what is trained, `runs` trains it (resumable, run by run), `table` writes what came out into
docs/experiments.md.
"""
