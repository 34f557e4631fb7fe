"""Networks for images that are no mobile networks: LeNet, ResNet-8, a multi-layer perceptron."""

from __future__ import annotations

from mcugrad.zoo.nets._net import Net


def lenet(net: Net, classes: int) -> None:
    """LeNet-5 of LeCun et al., "Gradient-based learning applied to document recognition" (Proc. IEEE 1998).

    As it is used today: ReLU for tanh, largest values for trained averages, a fully connected end.
    """
    net.conv(6, 5, bias=True).relu().max_pool(2)
    net.conv(16, 5, same=False, bias=True).relu().max_pool(2)
    net.flatten().fc(120).relu().fc(84).relu().fc(classes)


def resnet8(net: Net, classes: int) -> None:
    """ResNet-8 of MLPerf Tiny's image classification, Banbury et al., "MLPerf Tiny Benchmark" (arXiv 2106.07597).

    Three stages of one residual block each, after He et al., "Deep Residual Learning" (arXiv 1512.03385).
    """
    net.conv(16, 3).norm().relu()
    for out, stride in ((16, 1), (32, 2), (64, 2)):
        start = net.top
        branch = net.conv(out, 3, stride).norm().relu().conv(out, 3).norm().top
        if stride > 1:
            start = net.at(start).conv(out, 1, stride, bias=True).top
        net.at(branch).plus(start).relu()
    net.global_pool().flatten().fc(classes)


def mlp(net: Net, classes: int) -> None:
    """300 and 100 hidden units, as in LeCun et al. (Proc. IEEE 1998)."""
    if net.size:
        net.flatten()
    net.fc(300).relu().fc(100).relu().fc(classes)
