"""Photographs that seem to have the wrong name: the table, the page and the corrections."""
