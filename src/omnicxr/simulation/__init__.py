"""Simulated paired studies with known truth, from a real CT atlas."""
