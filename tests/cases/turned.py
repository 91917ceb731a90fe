"""Images of one object that was turned by any angle."""

from __future__ import annotations

import numpy as np
import pandas as pd

SIDE = 12


def turned_images(n_samples, seed=0, angle=0.0, side=SIDE, noise=0.0):
    """Three bumps, of which one is at another distance in each image, and one in a direction.

    Parameters
    ----------
    n_samples : int
    seed : int
        Of the shapes, of the angles that they begin with, and of the noise.
    angle : float
        In degrees, by which all images are turned further, counter-clockwise.
    side : int
    noise : float
        Standard deviation of a pixel.

    Returns
    -------
    ndarray of shape (n_samples, side, side)
    """
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 2 * np.pi, size=(n_samples, 1, 1)) + np.radians(angle)
    first, second = rng.uniform(size=(2, n_samples, 1, 1))
    steps = np.arange(side) - (side - 1) / 2
    right, up = np.meshgrid(steps, -steps)
    unit = side / 16
    images = np.zeros((n_samples, side, side))
    for radius, place in ((5, 0), (1 + 5 * first, 2), (4, 3.5 + 1.2 * second)):
        x, y = radius * unit * np.cos(start + place), radius * unit * np.sin(start + place)
        images += np.exp(-((right - x) ** 2 + (up - y) ** 2) / (4 * unit**2))
    return images + noise * rng.normal(size=images.shape)


def with_numbers(images):
    """Give a table of images and, beside each, two numbers."""
    total = images.sum(axis=(1, 2))
    return pd.DataFrame({"image": list(images), "a": total, "b": total**2})
