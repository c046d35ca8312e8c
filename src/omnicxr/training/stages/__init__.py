"""One small file per stage."""
