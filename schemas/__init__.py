"""What an event is: capsule, schemas, verdicts, columns. No Beam, no network but the registry."""

VERSION = "0.1.0"
