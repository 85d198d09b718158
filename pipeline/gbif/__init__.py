"""GBIF: its API, its downloads, its archives, and the two tables that come out of them."""
