"""Who runs the graph. A runner is told what to run; the graph never asks who it is."""
