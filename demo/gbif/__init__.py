"""What GBIF answers: searches, downloads with their archives, names and the dataset, from any source of records."""
