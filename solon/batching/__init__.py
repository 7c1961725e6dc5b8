"""Calls that go out in a service's batches, for as many sessions as those take."""
