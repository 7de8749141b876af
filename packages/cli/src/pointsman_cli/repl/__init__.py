"""The conversation that `pointsman chat` holds on a terminal."""
