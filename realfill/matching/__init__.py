"""Point correspondences between photos: local features, matchers, and verification by two-view geometry."""
