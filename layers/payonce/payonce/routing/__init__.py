"""Predictive failure recovery: which gateway a payment goes to, and whether it is taken at all. Pure."""
