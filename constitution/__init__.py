"""Principles as records: loaded from files, checked by code, drawn by seed. Knows nothing of models."""
