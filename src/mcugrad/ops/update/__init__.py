"""What changes weights and biases."""
