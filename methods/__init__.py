"""One algorithm per file; the name on the command line is the file's, with - for _."""
