"""EventErrors are run through the graph again."""
