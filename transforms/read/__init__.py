"""Lines come in from files and topics, each with its origin."""
