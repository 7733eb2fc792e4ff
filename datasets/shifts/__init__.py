"""Ways in which clients see the same images differently: each file has a function `shift`."""
