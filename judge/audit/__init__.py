"""Measures of the judge itself."""
