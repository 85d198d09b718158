"""Model versions for the MLflow registry: the candidate, its card and provenance, and the gate."""
