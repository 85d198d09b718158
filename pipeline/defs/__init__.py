"""Thin Dagster assets, checks, schedules and sensors over the pure functions of the pipeline."""
