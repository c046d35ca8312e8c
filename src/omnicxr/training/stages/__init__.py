"""One small file per stage, and the table of them."""
