"""How a judge's words are read: names, forms, comparisons, claims."""
