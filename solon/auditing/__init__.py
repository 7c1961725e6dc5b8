"""Recorded verdicts and human labels, from files that anybody may have written, for the audit."""
