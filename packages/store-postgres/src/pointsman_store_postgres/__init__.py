"""The ledger of Pointsman in PostgreSQL, for many processes and hosts."""
