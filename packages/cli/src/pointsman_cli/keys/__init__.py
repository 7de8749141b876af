"""Keys, stored and shown to nobody: `pointsman keys`."""
