"""Recovery of open claims at any number: a feeder that sets the pace, a queue, and askers that settle in parallel."""
