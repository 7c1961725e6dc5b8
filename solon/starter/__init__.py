"""The files that ``solon init`` copies: a run that works as it is."""
