"""Latents of the training rows, the observation model, and posterior modes of latents."""
