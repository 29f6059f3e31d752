"""What happens to an event: read, parse, validate, route, window, write, count."""
