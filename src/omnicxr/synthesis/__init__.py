"""Synthetic data sets of any size: what to generate, workers that may die, exports with provenance."""
