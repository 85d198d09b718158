"""What a trained network answers on both sides of the split, and what its answers are worth."""
