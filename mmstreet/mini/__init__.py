"""A street data set that the package draws itself: scenes with exact semantic and instance labels, from a seed."""
