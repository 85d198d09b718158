"""pipeline/defs."""
