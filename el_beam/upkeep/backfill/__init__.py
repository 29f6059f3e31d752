"""Hours are made anew from the raw archive."""
