"""What shows how it goes."""
