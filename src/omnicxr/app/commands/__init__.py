"""A file per sub-command: a function of its name, whose docstring is its help."""
