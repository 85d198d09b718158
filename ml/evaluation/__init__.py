"""Evaluation of a trained network on both sides of the split: answers, metrics, reliability and pictures."""
