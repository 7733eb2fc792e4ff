"""Results -> tables, figures and a page: pure functions of what is on disk. No torch, no method."""
