"""Several studies as one: trained, run and pooled over seeds, with one page of results."""
