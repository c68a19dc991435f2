"""The stages of the pipeline: each reads files, calls the packages below, and publishes its own folder."""
