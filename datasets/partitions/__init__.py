"""Ways to divide a data set among clients: each file has a function `partition`."""
