"""What makes one activation of several: sums, products, concatenation."""
