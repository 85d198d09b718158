"""Photographs as arrays: reading any file, the pack on disk, random changes, batches in a reproducible order."""
