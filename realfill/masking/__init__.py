"""From the description of the hole to the canvas, its mask, and the window that the model sees."""
