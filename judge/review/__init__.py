"""Human review: whom to ask what, what people said, and how far they agree. Pure: it knows no store and no page."""
