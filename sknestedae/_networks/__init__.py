"""Networks, and tensors of their inputs."""
