"""A tuning step beside the limit of the machine: its matrix products, convolutions and attention products alone.

A step of the real trainer is recorded as PyTorch runs it, forward and backward: every product with its very operands,
shapes, strides and types, in the backward pass only those that a gradient needs. Then each kind of product is run
alone, many times in a row, so that nothing of Python, of launching or of other operations is in its time; the limit
is the sum over all products of the step. Steps and products take turns. On CUDA the step is measured as written, as a
CUDA graph, and compiled; the limit is that of the step as written, with its sums in a fixed order, too. On the CPU
times are those of the processor, so that other work on the machine does not count. One JSON row a measurement is
printed and flushed as soon as it is taken; one that fails has a row with its error.

usage: python bench/limit.py [--model sd2|pocket|tiny] [--batch 16] [--rounds 5] [--seconds 60] [--out FILE]

`bench/step.py --limit` measures the same and the time to equal loss with one compilation. Alone, on a machine with a
GPU and without the project's environment (two minutes, of which compiling takes most):
PYTHONPATH=. python3 bench/limit.py --model sd2 --batch 16 --out "$OUT/limit.jsonl"
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from families import DEVICE, Bench, synchronize
from step import clock, make_bank, make_params, open_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from realfill.diffusion.compilation import CompilationSettings
from realfill.diffusion.lora_tuning import LoraTrainer

aten = torch.ops.aten
GEMMS = {aten.mm, aten.addmm, aten.bmm, aten.baddbmm}
CONVOLUTIONS = {aten.convolution, aten.convolution_backward, aten._slow_conv2d_forward, aten._slow_conv2d_backward}
AS_WRITTEN = CompilationSettings(min_steps=10**9, uses_graphs=False)
GRAPHED = CompilationSettings(min_steps=10**9)
COMPILED = CompilationSettings(min_steps=0)
POOL = torch.cuda.graph_pool_handle() if torch.cuda.is_available() else None
BURST = 0.01  # seconds that one product is run for at a time


class ProductRecorder(TorchDispatchMode):
    """Records the products that PyTorch runs: how often each, and its operands at the first time.

    Attributes:
        counts: Number of runs of each product, by its kind, shapes, strides and types.
        calls: Runs each product once more.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[tuple[Any, ...]] = Counter()
        self.calls: dict[tuple[Any, ...], Callable[[], object]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kind = product_kind(func)
        if kind:
            flat, _ = tree_flatten((args, kwargs))
            key = (kind, str(func), *(describe(value) for value in flat))
            self.counts[key] += 1
            if key not in self.calls:
                held_args, held_kwargs = tree_map(detach, (args, kwargs))
                self.calls[key] = partial(func, *held_args, **held_kwargs)
        return func(*args, **kwargs)


def product_kind(func: Any) -> str:
    """ "gemm", "convolution" or "attention"; empty for other operations."""
    packet = func.overloadpacket
    if packet in GEMMS:
        return "gemm"
    if packet in CONVOLUTIONS:
        return "convolution"
    return "attention" if "scaled_dot_product" in str(packet) else ""


def describe(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.stride(), value.dtype
    return str(value)


def detach(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket", help="pocket, sd2 or tiny: random weights of that size")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=600, help="no measurement is begun after them")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    bench = Bench(arguments)
    model = open_model(arguments.model)
    bank = make_bank(model, 4)
    params = make_params(batch_size=arguments.batch, micro_batch=arguments.batch)
    row = {"model": arguments.model, "batch": arguments.batch, "side": model.resolution}
    limit = None
    with bench.guard(arguments.model, "limit"), LoraTrainer(model, bank, params, AS_WRITTEN) as trainer:
        limit = measure_limit(bench, trainer, arguments.rounds, row)
    if DEVICE.type != "cuda" or limit is None:
        return
    for what, settings in (("graphed step", GRAPHED), ("compiled and graphed step", COMPILED)):
        if time.monotonic() - bench.started > arguments.seconds:
            bench.write(**row, what=what, skipped="no time is left")
            continue
        torch.cuda.empty_cache()
        with bench.guard(arguments.model, what), LoraTrainer(model, bank, params, settings) as trainer:
            first = clock(partial(trainer.train_step, 0))
            bench.write(**row, what=f"first {what}", seconds=round(first, 2))
            seconds = [clock(partial(trainer.train_step, step)) for step in range(1, 3 * arguments.rounds + 2)][1:]
            write_step(bench, row, what, seconds, limit)


def measure_limit(bench: Bench, trainer: LoraTrainer, rounds: int, row: dict[str, Any]) -> float:
    """Measure the step as written and its products in turns; returns seconds of the products."""
    trainer.train_step(0)
    recorder = ProductRecorder()
    with recorder:
        trainer.train_step(1)
    repeats = {key: count_repeats(call) for key, call in recorder.calls.items()}
    bursts = {key: make_burst(call, repeats[key]) for key, call in recorder.calls.items()}
    steps: list[float] = []
    products: dict[tuple[Any, ...], list[float]] = {key: [] for key in recorder.calls}
    for turn in range(rounds):
        steps.append(clock(partial(trainer.train_step, 2 + turn)))
        for key, burst in bursts.items():
            products[key].append(clock(burst) / repeats[key])
    kinds: Counter[str] = Counter()
    for key, seconds in products.items():
        kinds[key[0]] += statistics.median(seconds) * recorder.counts[key]  # type: ignore[assignment]
    limit = float(sum(kinds.values()))
    shares = {kind: round(seconds, 5) for kind, seconds in kinds.items()}
    numbers = {"products": recorder.counts.total(), "different": len(recorder.calls)}
    numbers["launched_singly"] = sum(isinstance(burst, partial) for burst in bursts.values())
    bench.write(**row, what="limit", seconds=round(limit, 5), **shares, **numbers)
    write_step(bench, row, "step", steps, limit)
    return limit


def count_repeats(call: Callable[[], object]) -> int:
    """How often a product is run at a time."""
    repeat(call, 2)
    seconds = clock(partial(repeat, call, 3)) / 3
    return max(1, min(200, round(BURST / max(seconds, 1e-9))))


def make_burst(call: Callable[[], object], times: int) -> Callable[[], object]:
    """Runs a product many times; on CUDA as a graph, so that launching takes no time between them."""
    if DEVICE.type == "cpu":
        return partial(repeat, call, times)
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=POOL):
            repeat(call, times)
        graph.replay()
        torch.cuda.synchronize()
    except RuntimeError:
        return partial(repeat, call, times)
    return graph.replay


def repeat(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


def write_step(bench: Bench, row: dict[str, Any], what: str, seconds: list[float], limit: float) -> None:
    median = statistics.median(seconds)
    spread = [round(float(np.quantile(seconds, share)), 5) for share in (0.1, 0.9)]
    bench.write(**row, what=what, seconds=round(median, 5), spread=spread, ratio_to_limit=round(median / limit, 3))
    synchronize()


if __name__ == "__main__":
    main()
