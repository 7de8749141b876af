"""What can be asked: `pointsman models`."""
