"""Results -> tables, figures and a page: pure functions of the stored files. No torch, no method."""
