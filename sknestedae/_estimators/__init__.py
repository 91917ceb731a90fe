"""Estimators, and what a fit gives them: ensembles, chains, refinement, completion."""
