"""`pointsman completion`, and what completes a value."""
