"""One SELECT a file, in folders that mirror the packages of `pipeline`; names are unique across the folders.

The header of each file states its purpose, grain, inputs and parameters.
"""
