"""What is pruned, and what no pruning may touch."""
