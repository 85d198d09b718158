"""What every child process does besides its work: messages to Dagster, its MLflow run, its progress."""
