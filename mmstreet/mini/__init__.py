"""A street data set that the package renders itself: scenes with exact semantic and instance labels, from a seed."""
