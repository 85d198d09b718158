"""Starting processes: specifications of children, torchrun, Dagster Pipes and pools, the embedded replica."""
