"""Side by side measurements against peers and against the machine's limits. Nothing of the product lives here."""
