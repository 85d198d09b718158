"""Starting processes: the stages of `ml` and their specifications, Dagster's pools, the embedded replica, signals."""
