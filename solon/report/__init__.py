"""``report.md``: gathered from the run folder, rendered for a person to read."""
