"""A server that speaks as the paid services do, with faults on demand."""
