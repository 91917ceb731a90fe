"""Training of one network; vectorized training of many; concurrent fits."""
