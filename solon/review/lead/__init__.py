"""What the lead sees."""
