"""Estimators and their fitted state: ensembles, chains, refinement, completion."""
