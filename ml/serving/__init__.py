"""The served model: photographs in, the deepest taxon that is probable enough out; registration and `identify`."""
