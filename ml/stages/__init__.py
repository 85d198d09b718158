"""The documents of each stage: what a child is asked, and what it made. The pipeline knows them from `ml.spec`."""
