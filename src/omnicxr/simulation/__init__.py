"""Simulated paired studies with known truth, from a CT atlas."""
