"""Passes over a program: each takes one and gives one that computes the same bytes."""
