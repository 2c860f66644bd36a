"""Downloads that go on where they stopped; `downloading` has the functions, and imports requests."""
