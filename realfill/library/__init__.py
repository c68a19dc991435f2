"""A library of albums on disk: its git and DVC repository, work orders, history of runs, quarantine and gallery."""
