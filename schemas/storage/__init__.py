"""How an event is stored: columns of a schema, as Arrow and SQL have them."""
