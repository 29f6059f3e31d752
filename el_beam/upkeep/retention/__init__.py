"""What is old is removed, but for what a list keeps."""
