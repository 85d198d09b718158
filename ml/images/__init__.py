"""Photographs as arrays: reading any file, the pack on disk, views, random changes, batches in a fixed order."""
