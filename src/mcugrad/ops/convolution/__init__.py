"""Convolutions: ordinary, pointwise, depthwise, grouped, transposed."""
