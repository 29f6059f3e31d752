"""The ledger: what was read and written, by hour and schema."""
