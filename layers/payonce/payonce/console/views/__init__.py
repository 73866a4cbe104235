"""View models of the pages: what is read for a page, as frozen data without any HTML."""
