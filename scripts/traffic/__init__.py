"""Traffic for tests, benches and soaks: lines as browsers send them, jobs that work on them, the
truth about what must come of it."""
