"""The verb that trains: where models lie, what they were made of, one trained in another's place."""
