"""Largest values and means of windows."""
