"""Rewards over HTTP, for a trainer that runs elsewhere."""
