"""What happens to one call: `machine` decides, `runner` acts, `connections` keeps providers open."""
