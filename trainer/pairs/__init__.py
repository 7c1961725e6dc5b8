"""Preference pairs as training sees them: the rows, how long and how certain they are, and which go together."""
