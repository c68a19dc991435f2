"""The inpainting diffusion model: loading it, tuning it on an album by LoRA, and sampling from it."""
