"""The tables of a MySQL database: made, changed, purged."""
