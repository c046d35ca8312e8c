"""The rectified flow: path, guidance, samplers."""
