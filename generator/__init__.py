"""Prompts in, candidates out: chat models, drafts, critiques and revisions. Knows nothing of verdicts."""
