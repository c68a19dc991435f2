"""HTML pages: their templates, the pictures on them, and the page of one album."""
