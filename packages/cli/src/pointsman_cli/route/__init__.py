"""Where a prompt would go: `pointsman route`."""
