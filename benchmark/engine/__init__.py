"""Ways to train and evaluate a client; one file each."""
