"""Calibrating a classifier that was trained elsewhere: `naturewatch specificity`, from files of probabilities.

Nothing is imported here: the command must answer a signal from its first moment, before NumPy loads.
"""
