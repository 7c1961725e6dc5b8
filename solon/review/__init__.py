"""Human review in the shell: the store, what is drawn into it, and what comes out of it."""
