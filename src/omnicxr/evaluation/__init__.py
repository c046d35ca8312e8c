"""Measuring models: generation first, then scoring."""
