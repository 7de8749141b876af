"""Many questions from a file, each answered once: `pointsman batch`."""
