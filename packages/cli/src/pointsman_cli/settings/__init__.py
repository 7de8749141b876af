"""Settings, shown and changed: `pointsman config`."""
