"""Networks for sound, vibration and motion."""

from __future__ import annotations

from mcugrad.zoo.nets._net import Net


def ds_cnn(net: Net, classes: int) -> None:
    """DS-CNN, small, of Zhang et al., "Hello Edge" (arXiv 1711.07128); MLPerf Tiny's keyword spotting."""
    net.conv(64, (10, 4), 2).norm().relu()
    for _ in range(4):
        net.conv(64, 3, depthwise=True).norm().relu().conv(64, 1).norm().relu()
    net.global_pool().flatten().fc(classes)


def vibration_cnn(net: Net, classes: int) -> None:
    """WDCNN of Zhang et al., "A new deep learning model for fault diagnosis" (Sensors 17(2):425, 2017).

    A wide first kernel instead of a spectrum, then narrow ones.
    """
    net.conv(16, 64, 16).norm().relu().max_pool(2)
    for out in (32, 64, 64):
        net.conv(out, 3).norm().relu().max_pool(2)
    net.conv(64, 3, same=False).norm().relu().max_pool(2)
    net.flatten().fc(100).norm().relu().fc(classes)


def inertial_cnn(net: Net, classes: int) -> None:
    """FCN of Wang et al., "Time series classification from scratch" (arXiv 1611.06455), a quarter as wide."""
    for out, kernel in ((32, 8), (64, 5), (32, 3)):
        net.conv(out, kernel).norm().relu()
    net.global_pool().flatten().fc(classes)


def autoencoder(net: Net, features: int) -> None:
    """Deep autoencoder of MLPerf Tiny's anomaly detection (arXiv 2106.07597), DCASE 2020 task 2.

    Four layers of 128, a bottleneck of 8, four layers of 128; it gives its input back.
    """
    for out in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        net.fc(out).norm().relu()
    net.fc(features)
