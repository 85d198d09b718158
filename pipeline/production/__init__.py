"""Which network is released: one of those compared, or one that goes on from the champion."""
