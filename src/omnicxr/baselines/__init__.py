"""Other designs, for comparison at equal compute."""
