"""What holds for every method, every line-up and every data set: one suite for those here and for one's own."""
