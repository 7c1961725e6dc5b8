"""What training on a policy's own completions is made of."""
