"""What operators write into: nodes of the backward pass, and the buffers and kernel calls of a program."""
