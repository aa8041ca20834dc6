"""report.html: what a run was and what came of it, on one page that needs no network."""
