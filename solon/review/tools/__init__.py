"""Other labelling tools: tasks out, answers in."""
