"""Where the target's pixels lie in the reference photos: cameras, depth, homographies, deformations."""
