"""From occurrences to a dataset that networks can learn from: cleaning, taxonomy, split, pack, manifest."""
