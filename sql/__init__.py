"""One SELECT a file; each file's header states its purpose, grain, inputs and parameters."""
