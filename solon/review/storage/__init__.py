"""The tables of human review and everything that reads or writes them."""
