"""Events go out: sinks, and the transform that gives each what it is to have."""
