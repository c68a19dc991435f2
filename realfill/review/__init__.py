"""The review app: finished photos looked at in a browser, and what is decided about them."""
