"""Forward and backward pass of a batch as one CUDA graph: launching its kernels takes longer than they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

WARMUP_PASSES = 2  # which choose algorithms and load kernels, as neither can be done while a graph is captured


class GraphedPass:
    """A pass that is captured once and replayed, each time on another batch of the same shapes.

    Every draw from PyTorch's default generator is made anew in each replay, from its seed at that time.

    Args:
        run: The pass: adds gradients to those that the weights have, without waiting for the device, and returns the
            loss.
        batch: Tensors on the device.

    Raises:
        RuntimeError: The pass cannot be captured.
    """

    def __init__(self, run: Callable[[Mapping[str, Tensor]], Tensor], batch: Mapping[str, Tensor]) -> None:
        self._batch = {name: value.clone() for name, value in batch.items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUP_PASSES):
                run(self._batch)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._loss = run(self._batch)

    def replay(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Run the pass on a batch; returns its loss, which the next replay replaces."""
        for name, value in batch.items():
            self._batch[name].copy_(value, non_blocking=True)
        self._graph.replay()
        return self._loss
