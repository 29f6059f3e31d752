"""Whether an event is valid: JSON Schema draft 3 as EventLogging means it."""
