"""Topics into sinks, some records at a time, each exactly once."""
