"""pipeline/gbif."""
