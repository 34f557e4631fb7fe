"""Mobile networks: depthwise separable convolutions, inverted residuals, squeeze and excitation."""

from __future__ import annotations

from collections.abc import Callable

from mcugrad.zoo.nets._net import Net

Function = Callable[[Net], Net]


def rounded(channels: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth below, as in the MobileNet papers."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8


def inverted_residual(
    net: Net,
    out: int,
    kernel: int,
    stride: int,
    middle: int,
    function: Function = Net.relu6,
    *,
    squeeze: bool = False,
) -> None:
    """Widen, filter every channel, narrow without a function; the input is added where the shape is kept."""
    start, channels = net.top, net.channels
    if middle != channels:
        function(net.conv(middle, 1).norm())
    net.conv(middle, kernel, stride, depthwise=True).norm()
    function(net)
    if squeeze:
        squeeze_and_excite(net)
    net.conv(out, 1).norm()
    if stride == 1 and channels == out:
        net.plus(start)


def squeeze_and_excite(net: Net) -> None:
    """Every channel times a gate made of the means of all, Hu et al. (arXiv 1709.01507), gates as in MobileNetV3."""
    x, channels = net.top, net.channels
    net.global_pool().conv(rounded(channels / 4), 1, bias=True).relu().conv(channels, 1, bias=True)
    gate = net.hard_sigmoid().top
    net.at(x).times(gate)


def mobilenet_v1_025(net: Net, classes: int) -> None:
    """MobileNet, width 0.25, Howard et al. (arXiv 1704.04861); MLPerf Tiny's person detection at 96x96."""
    net.conv(8, 3, 2).norm().relu()
    plan = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1))
    for out, stride in plan:
        net.conv(net.channels, 3, stride, depthwise=True).norm().relu().conv(out, 1).norm().relu()
    net.global_pool().flatten().fc(classes)


def mobilenet_v2_035(net: Net, classes: int) -> None:
    """MobileNetV2, width 0.35, Sandler et al. (arXiv 1801.04381), table 2."""
    net.conv(rounded(0.35 * 32), 3, 2).norm().relu6()
    plan = (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    )
    for expand, out, repeat, stride in plan:
        for i in range(repeat):
            inverted_residual(net, rounded(0.35 * out), 3, stride if i == 0 else 1, expand * net.channels)
    net.conv(1280, 1).norm().relu6().global_pool().flatten().fc(classes)


def mbednet(net: Net, classes: int) -> None:
    """MobileNetV3-Small at half width with a short end, Howard et al. (arXiv 1905.02244), table 2.

    The class of network that Deutel et al. (arXiv 2407.10734) train on devices: their MbedNet is not published layer
    by layer. Maps below 64 pixels are not halved by the first layer.
    """
    net.conv(8, 3, 2 if min(net.size) >= 64 else 1).norm().hard_swish()
    relu, swish = Net.relu, Net.hard_swish
    plan: tuple[tuple[int, int, int, bool, Function, int], ...] = (
        *((3, 16, 16, True, relu, 2), (3, 72, 24, False, relu, 2), (3, 88, 24, False, relu, 1)),
        *((5, 96, 40, True, swish, 2), (5, 240, 40, True, swish, 1), (5, 240, 40, True, swish, 1)),
        *((5, 120, 48, True, swish, 1), (5, 144, 48, True, swish, 1)),
        *((5, 288, 96, True, swish, 2), (5, 576, 96, True, swish, 1), (5, 576, 96, True, swish, 1)),
    )
    for kernel, middle, out, squeeze, function, stride in plan:
        inverted_residual(
            net, rounded(out / 2), kernel, stride, rounded(middle / 2), function, squeeze=squeeze
        )
    net.conv(288, 1).norm().hard_swish().global_pool().flatten().fc(256).hard_swish().fc(classes)


def mcunet(net: Net, classes: int) -> None:
    """MCUNet of Lin et al. (arXiv 2007.10319), in the form that Cai et al. describe in NetAug (arXiv 2110.08890).

    Found by searching: kernels of 3, 5 and 7, each block widened by another factor.
    """
    net.conv(16, 3, 2).norm().relu6().conv(16, 3, depthwise=True).norm().relu6().conv(8, 1).norm()
    plan: tuple[tuple[int, int, tuple[int, ...], tuple[int, ...]], ...] = (
        (16, 2, (3, 5, 5, 4), (7, 3, 7, 5)),
        (24, 2, (5, 5, 5), (5, 5, 5)),
        (40, 2, (5, 6, 4), (3, 7, 5)),
        (48, 1, (5, 5, 5), (5, 7, 3)),
        (96, 2, (6, 5, 4), (3, 7, 3)),
    )
    for out, stride, widths, kernels in plan:
        for i, (expand, kernel) in enumerate(zip(widths, kernels, strict=True)):
            middle = rounded(expand * net.channels)
            inverted_residual(net, out, kernel, stride if i == 0 else 1, middle)
    inverted_residual(net, 160, 7, 1, 480)
    net.global_pool().flatten().fc(classes)
