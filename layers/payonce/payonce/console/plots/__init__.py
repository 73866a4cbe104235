"""Plots as SVG: pure functions from data to text, without script and without a plotting library."""
