"""How well each photograph's name fits what a classifier that never saw it makes of it."""
