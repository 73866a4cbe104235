"""A slice of the laboratory: that it measures what it says, and that the promises hold on a few trials."""
