"""MLflow, seen from the pipeline: its runs, its server, its store."""
