"""The default source: observations of New Zealand species whose photographs are drawn in code, on request."""
