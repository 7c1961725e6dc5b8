"""Runs: where they stand, start and pause, results."""
