"""Reading studies from data sets and files, and preparing them for training."""
