"""What is installed, and loading it without waiting for what hangs: `pointsman plugins`."""
