"""Pages of runs and of jobs of any kind."""
