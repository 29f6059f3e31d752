"""What a person asks for: options, each parsed once, and the job that they make."""
