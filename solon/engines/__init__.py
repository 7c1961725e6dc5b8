"""What carries prompts through the pipeline."""
