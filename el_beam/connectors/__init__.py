"""Sources, sinks and stores, a connector a file; and what is read back from stores."""
