"""Is a route worse than usual, and how likely is it to break its SLO? Pure statistics over the signals."""
