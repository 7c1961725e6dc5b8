"""Preference pairs in, a trained policy and its evaluation out. Knows nothing of journals and runs."""
