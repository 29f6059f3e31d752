"""What an event is: capsule, schemas, verdicts and columns. No Beam here, no network but the registry."""

VERSION = "0.1.0"
