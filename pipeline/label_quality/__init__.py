"""Photographs that seem to have the wrong name: what is asked of the child, the table of suspects, its page."""
