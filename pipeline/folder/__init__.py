"""One's own labelled photographs as a source: a CSV and the files that it names. Nothing is asked of any host."""
