"""The documentation of methods: what of it follows from the code and from stored results."""
