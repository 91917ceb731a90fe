"""Atoms and their surroundings as features invariant to rotation, translation and order."""
