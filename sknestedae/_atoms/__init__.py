"""Atoms and their surroundings, as numbers that rotation, shift and order do not change."""
