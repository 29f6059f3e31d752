"""The commands of `el`, a file each: `register` adds its options, and says what to call."""
