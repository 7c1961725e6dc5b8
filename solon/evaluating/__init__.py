"""`solon evaluate`: a trained policy held against what it was trained from, and what became of it told."""
