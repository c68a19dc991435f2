"""Photo files: decoding, color management, metadata and encoding."""
