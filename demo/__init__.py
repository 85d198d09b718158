"""An embedded GBIF and photo server: rendered organisms, or any folder of labelled photographs."""
