"""The configuration: one YAML file per scope, its sections and values, and what is wrong with it in words."""
