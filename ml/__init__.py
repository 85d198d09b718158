"""What is computed: taxonomy arrays, networks, training, specificity and serving. Runs without Dagster."""
