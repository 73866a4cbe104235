"""Break cases: a break's life from the run that found it to the run that proves it gone."""
