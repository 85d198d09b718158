"""pipeline/photos."""
