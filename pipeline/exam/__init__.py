"""The exam of model versions: which photographs, what each version answered, whether a challenger passes."""
