"""A prior of place and season, from the occurrences that brought the photographs: learnt, composed, measured."""
