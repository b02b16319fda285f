"""The tests and the bench: a package, because others install one of that name."""
