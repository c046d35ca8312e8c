"""What is worked out from readings: one file for each question that an evaluation asks."""
