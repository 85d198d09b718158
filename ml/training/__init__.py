"""One training stage: recipes, the loop, optimisers, checkpoints, fitting the head."""
