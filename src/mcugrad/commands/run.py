"""mcugrad run: training steps on emulated cores, compared bit by bit with this computer's twin."""

from __future__ import annotations

from typing import Annotated

import typer

from mcugrad.commands.options import (
    DEFAULT_POLICY,
    DEFAULT_RULE,
    Batch,
    Board,
    Calibration,
    Clip,
    Data,
    Json,
    Momentum,
    Name,
    Network,
    Precision,
    Rate,
    Rule,
    Scale,
    Seed,
    Sparse,
    SparsePolicy,
    Train,
    VelocityBits,
    WeightDecay,
)
from mcugrad.commands.output import Output


def run(
    model: Network,
    data: Data,
    on: Annotated[
        list[str],
        typer.Option(
            "--on",
            help="emulator (the target's core), reference, or boards and cores; several: --on a --on b.",
        ),
    ] = ["emulator"],  # noqa: B006  (typer reads it, nobody writes it)
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps to take and compare.")] = 64,
    name: Name = None,
    train: Train = "all",
    rule: Rule = DEFAULT_RULE,
    batch: Batch = 1,
    momentum: Momentum = 0.0,
    velocity_bits: VelocityBits = 16,
    weight_decay: WeightDecay = 0.0,
    clip: Clip = None,
    precision: Precision = "int8",
    sparse: Sparse = None,
    sparse_policy: SparsePolicy = DEFAULT_POLICY,
    target: Board = None,
    rate: Rate = 0.01,
    seed: Seed = 0,
    calibration: Calibration = 256,
    scale: Scale = None,
    json: Json = False,
) -> None:
    """Train on emulated cores and compare every bit with the twin. Exits 1 if one differs."""
    import numpy as np

    from mcugrad.commands.compile import compiled_facts
    from mcugrad.commands.inputs import network, rules, samples, sparse_choice, trainer
    from mcugrad.errors import UsageError

    output = Output(json)
    found = network(model, name)
    given = samples(data, found, scale)
    chosen = rules(
        rule,
        batch=batch,
        momentum=momentum,
        velocity_bits=velocity_bits,
        weight_decay=weight_decay,
        clip=clip,
    )
    made = trainer(
        found,
        given,
        train=train,
        rule=chosen,
        precision=precision,
        sparse=sparse_choice(sparse, sparse_policy),
        target=target,
        rate=rate,
        seed=seed,
        calibration=calibration,
    )
    if not made.trained_layers:
        raise UsageError("there is nothing to train", where="--train none", hint="--train last:1, or all")
    order = np.resize(np.random.default_rng(seed).permutation(len(given.x)), steps)
    executors = [part for text in on for part in text.split(",")]
    output.say(repr(made)[1:-1], strong=True)
    output.say(f"data  {given.text}")
    with output.busy(f"{steps} training steps on {', '.join(executors)}"):
        proof = made.verify(given.x[order], given.y[order], on=executors)
    output.say(f"\nequal: {proof}")
    if proof.instructions:
        rows = [(core, f"{count:,.0f}") for core, count in proof.instructions.items()]
        output.table(
            "instructions per training step: emulated, counted one by one, mean",
            ("on", "instructions"),
            rows,
            "lr",
        )
    output.finish(
        {
            **compiled_facts(made, given.text),
            "equal": True,
            "steps": proof.steps,
            "on": list(proof.executors),
            "state_bytes": proof.bytes,
            "instructions_per_step": proof.instructions,
        }
    )
