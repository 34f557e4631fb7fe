"""Reports: what was found, as tables with the origin of every number, as JSON, and as one HTML page."""
