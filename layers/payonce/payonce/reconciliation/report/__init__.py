"""What a run found, as one HTML file and as JSON. Needs the packages of requirements/reconcile.txt."""
