"""The networks of one dataset version side by side: the paper's Table 1 and its Figures 3 and 4 for this dataset."""
