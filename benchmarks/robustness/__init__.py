"""Odd and bad inputs by the thousand: `python -m benchmarks.robustness`, see docs/robustness.md.

Every input is tried in a process of its own, forked from one that has imported everything. Bad ones must be refused
(exit status 2, one sentence, nothing left behind), odd but good ones handled right.
"""
