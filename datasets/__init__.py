"""Data sets and partitions, one per file; the name on the command line is the file's, with - for _."""
