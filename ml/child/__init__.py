"""What every child process does beside its work: messages to Dagster, its MLflow run, its progress."""
