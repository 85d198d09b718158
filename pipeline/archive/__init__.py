"""Reading Darwin Core archives and GBIF search records as raw rows; nothing is interpreted."""
