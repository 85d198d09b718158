"""Photographs: which ones to fetch, whether they are whole, where they are stored, and the ledger of their attempts."""
