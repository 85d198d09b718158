"""What people look at: the dataset page and every picture."""
