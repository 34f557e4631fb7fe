"""Normalizing by statistics that training on the PC has found."""
