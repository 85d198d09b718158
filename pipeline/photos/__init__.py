"""Photographs: which ones to fetch, fetching them politely, verifying them, and the ledger of what became of each."""
