"""What every request passes: who it is from, what it may do, and how a fault is told."""
