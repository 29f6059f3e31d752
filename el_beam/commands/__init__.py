"""The commands of `el`, a file each. Its `register` makes the command's parser by the function that
it is given, adds the options, and says what to call."""
