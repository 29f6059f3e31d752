"""What is known of what was written: the state of increments, the ledger."""
