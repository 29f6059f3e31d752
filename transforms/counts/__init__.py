"""What was counted: partial sums of a bundle, totals, the summary of a run."""
