"""`pointsman demo`."""
