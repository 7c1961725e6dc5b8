"""Labelling: an item at a time."""
