"""One training stage: what it starts from, recipes, fitting the head, the loop, optimisers, checkpoints, results."""
