"""Asking hosts for photographs: which addresses, how hard, how long, and what becomes of each request."""
