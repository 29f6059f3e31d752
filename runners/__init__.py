"""Who runs the graph. A runner gets what to run; the graph never asks who it is."""
