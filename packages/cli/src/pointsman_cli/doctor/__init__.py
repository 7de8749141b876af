"""What is wrong with a setup: `pointsman doctor`."""
