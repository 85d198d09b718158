"""What runs when: GBIF client, photo fetcher, SQL runner, launching and registry, with thin Dagster assets in defs/."""
