"""The page that identifies photographs, and its endpoint: `naturewatch page`."""
