"""Networks as extractor and header, and the line-ups built from them."""
