"""Training: settings, one loop, one small file per stage."""
