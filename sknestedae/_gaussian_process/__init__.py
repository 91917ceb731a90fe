"""Gaussian processes: hyperparameters with priors, weights of rows, leave-one-out."""
