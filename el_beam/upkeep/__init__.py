"""What changes what was written."""
