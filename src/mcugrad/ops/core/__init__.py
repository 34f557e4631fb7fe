"""What operators of every family share: layers with weights, windows, errors, and where numbers change their kind."""
