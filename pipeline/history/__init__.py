"""How a dataset version differs from the last: snapshots in their order, changes, class map, taxonomy diff."""
