"""When a machine of one's own is cheaper: `pointsman costs --breakeven`."""
