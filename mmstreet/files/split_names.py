"""Names of the parts of a data set; commands know them before anything else is imported."""

SPLITS = ("train", "val", "test")
