"""What a model version was made from, in words and as Croissant metadata; GBIF derived datasets."""
