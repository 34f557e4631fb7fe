"""Scales and ranges that follow the data."""
