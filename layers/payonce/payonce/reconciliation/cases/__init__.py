"""Break cases: what a run found, from its opening to the run that proves it gone."""
