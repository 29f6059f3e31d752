"""What people touch: the command line, jobs, and the graph on one page (pipeline.py)."""
