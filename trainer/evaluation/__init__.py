"""What training changed, measured on completions from before and after; and the guards that it must not trip."""
