"""Losses, and the errors that begin with them."""
