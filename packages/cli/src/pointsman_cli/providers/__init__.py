"""Who can answer: `pointsman providers`."""
