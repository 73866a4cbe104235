"""The laboratory: payonce's routing decisions in simulated trouble, beside what others do about it."""
