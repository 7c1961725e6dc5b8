"""Candidates in, verdicts, labels and preference pairs out. Knows nothing of HTTP or training."""
