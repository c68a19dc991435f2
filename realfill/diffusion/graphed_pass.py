"""Forward and backward passes as CUDA graphs: launching their kernels one by one takes longer than they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

WARMUP_PASSES = 2  # which choose algorithms and load kernels, as neither can be done while a graph is captured


class CaptureError(RuntimeError):
    """A pass cannot be captured on this machine; it can still be run as written."""


@dataclass(frozen=True)
class _Capture:
    graph: torch.cuda.CUDAGraph
    batch: Mapping[str, Tensor]
    loss: Tensor


class GraphedPasses:
    """Passes that are captured once for all batches of the same shapes, and replayed on other ones.

    Every draw from the device's default generator is made anew in each replay, from its seed at that time.

    Args:
        run: A pass: adds gradients to those that the weights have, without waiting for the device, and returns the
            loss.
    """

    def __init__(self, run: Callable[[Mapping[str, Tensor]], Tensor]) -> None:
        self._run = run
        self._stream = torch.cuda.Stream()
        self._pool = torch.cuda.graph_pool_handle()
        self._captures: dict[tuple[torch.Size, ...], _Capture] = {}

    def capture(self, batch: Mapping[str, Tensor]) -> None:
        """Capture the pass of tensors of these shapes, if it is not yet; leaves gradients that mean nothing.

        Args:
            batch: Tensors on the device, [B, ...] each.

        Raises:
            CaptureError: It cannot be captured.
        """
        if _shapes(batch) in self._captures:
            return
        held = {name: value.clone() for name, value in batch.items()}
        graph = torch.cuda.CUDAGraph()
        self._stream.wait_stream(torch.cuda.current_stream())
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        with torch.cuda.stream(self._stream):
            for _ in range(WARMUP_PASSES):
                self._run(held)
            state = generator.clone_state()
            try:
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                    loss = self._run(held)
            except RuntimeError as error:
                generator.graphsafe_set_state(state)  # else PyTorch 2.11 refuses every draw from now on
                raise CaptureError(" ".join(str(error).split())[:200]) from error
        torch.cuda.current_stream().wait_stream(self._stream)
        self._captures[_shapes(batch)] = _Capture(graph, held, loss)

    def replay(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Run the captured pass on a batch; returns its loss, which the next replay replaces."""
        capture = self._captures[_shapes(batch)]
        for name, value in batch.items():
            capture.batch[name].copy_(value, non_blocking=True)
        capture.graph.replay()
        return capture.loss


def _shapes(batch: Mapping[str, Tensor]) -> tuple[torch.Size, ...]:
    return tuple(value.shape for value in batch.values())
