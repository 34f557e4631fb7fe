"""fashion_cnn in float32 with PyTorch: what training on the device is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from networks import fashion_weights


class FloatTrainer:
    """PyTorch's eager SGD, batch 1, one thread, no momentum, from the same weights as the device.

    Args:
        seed: of the initial weights.
    """

    def __init__(self, seed: int) -> None:
        torch.set_num_threads(1)
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(1568, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )
        with torch.no_grad():
            for parameter, value in zip(self.net.parameters(), fashion_weights(seed).values(), strict=True):
                parameter.copy_(torch.from_numpy(value))
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01)

    def train(self, x: torch.Tensor, y: torch.Tensor, order: Any, rates: Any) -> None:
        """One step per entry of `order`, at the rate of the same entry. x (n, 1, 1, 28, 28), y (n, 1)."""
        group = self.optimizer.param_groups[0]
        for sample, rate in zip(order.tolist(), rates.tolist(), strict=True):
            group["lr"] = rate
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(self.net(x[sample]), y[sample]).backward()
            self.optimizer.step()

    def accuracy(self, x: torch.Tensor, y: torch.Tensor) -> float:
        """Share of images predicted right."""
        with torch.no_grad():
            found = torch.cat([self.net(part).argmax(1) for part in x.reshape(-1, 1, 28, 28).split(500)])
        return float((found == y.reshape(-1)).float().mean())


def tensors(images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, 28, 28, 1) and labels as one mini-batch of size 1 per row."""
    return torch.from_numpy(images.reshape(-1, 1, 1, 28, 28)), torch.from_numpy(labels.reshape(-1, 1))


def version() -> str:
    """Of PyTorch."""
    return str(torch.__version__)
