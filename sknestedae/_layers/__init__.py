"""Layers of networks, devices and seeds."""
