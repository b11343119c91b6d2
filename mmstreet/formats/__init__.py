"""Label formats as pure codecs between records and files; no torch, no framework."""
