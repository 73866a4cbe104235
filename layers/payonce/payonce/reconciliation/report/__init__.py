"""The report of a run as one HTML file and as JSON. It needs the extra reconcile."""
