"""From a request to results: planning a grid, and executing its runs."""
