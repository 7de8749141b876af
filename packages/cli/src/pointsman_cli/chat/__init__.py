"""One question, one answer: `pointsman chat`."""
