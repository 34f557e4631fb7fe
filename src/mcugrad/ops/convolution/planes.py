"""What depthwise convolutions need and cost over planes: four channels taken apart at a time.

See docs/kernels.md. Loops in assembler take what they take, so their instructions are counted here, not their rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mcugrad.abi.constants import constant
from mcugrad.ops.convolution.panels import up4
from mcugrad.ops.convolution.panels_back import kinds
from mcugrad.ops.convolution.panels_update import ROW
from mcugrad.ops.convolution.struct import Conv2dStruct

BLOCK, CHANNELS = constant("MCG_BLOCK"), constant("MCG_PLANE_CHANNELS")
PLANE_UPDATE_ROWS = constant("MCG_DEPTHWISE_ROWS")
"""Channels whose gradients exist at a time where no planes are, 4 bytes for each weight."""


@dataclass(frozen=True)
class Axes:
    """A convolution of one channel, rows and columns as they take the fewest instructions: `mcg_plane_axes_t`.

    Attributes:
        g: geometry; rows and columns may be exchanged.
        close: whether taps are 3x3 neighbours.
        step: number of the first step of a kernel row that meets the map.
        steps: of a kernel row at most.
        turned: whether rows and columns are exchanged.
    """

    g: Conv2dStruct
    close: bool
    step: int
    steps: int
    turned: bool = False

    @classmethod
    def straight(cls, g: Conv2dStruct) -> Axes:
        """As they are."""
        odd = g.pad_left % 2
        reach = (g.k_w - 1) * g.dilation_w + 1 + odd
        if (g.k_h, g.k_w, g.dilation_w) == (3, 3, 1):
            return cls(g, True, 0, 1)
        most = reach // 2 + 1 if g.stride_w == 1 else (reach + 1) // 2
        if g.dilation_w > 1:
            return cls(g, False, 0, min(most, 2 * g.k_w))
        at = (g.pad_left + odd) // 2
        last = min(at + (g.in_w - 1) // 2, most - 1)
        step = min(max(at - ((g.out_w - 1) // 2 if g.stride_w == 1 else g.out_w - 1), 0), most - 1)
        return cls(g, False, step, max(last - step, 0) + 1)

    @classmethod
    def of(cls, g: Conv2dStruct) -> Axes | None:
        """None where no stride along rows is 1 or 2."""
        g = on_the_map(g)
        straight, turned = cls.straight(g), replace(cls.straight(exchanged(g)), turned=True)
        if g.stride_w > 2 or (turned.g.stride_w <= 2 and turned.cost < straight.cost):
            straight = turned
        return straight if straight.g.stride_w <= 2 else None

    @property
    def whole(self) -> bool:
        """Whether kernel rows are 5 or 7 neighbours whose words are loaded together."""
        g, odd = self.g, self.g.pad_left % 2
        return g.stride_w <= 2 and g.dilation_w == 1 and g.k_w == 5 + 2 * odd and self.steps >= 3

    @property
    def row(self) -> int:
        """Instructions of a kernel row for four outputs, about, where taps are not 3x3 neighbours."""
        if not self.whole:
            return 9 * self.steps_of_row
        return 17 + self.g.stride_w if self.g.k_w == 5 else 24

    @property
    def share(self) -> float:
        """What a kernel row of a table takes, of one that is written step by step, its steps left out."""
        return (self.g.k_w + 2 - self.g.stride_w) / 8.5 if self.whole else 1

    @property
    def fours(self) -> int:
        """Fours of outputs of a row."""
        return -(-self.g.out_w // 4)

    @property
    def cost(self) -> int:
        """Instructions of all sums, about."""
        row = 11 if self.close else self.row if self.whole else 9 * self.steps
        return self.g.out_h * (8 + self.fours * (9 + self.g.k_h * row))

    @property
    def left(self) -> int:
        """First column of a plane, which is even."""
        return -(self.g.pad_left + self.g.pad_left % 2)

    @property
    def read(self) -> int:
        """Words of a row of a plane that are read."""
        reach = (self.g.k_w - 1) * self.g.dilation_w + 1 + self.g.pad_left % 2
        return 2 * self.fours + reach // 2 if self.g.stride_w == 1 else 4 * self.fours + (reach - 1) // 2

    @property
    def begin(self) -> int:
        """Words before the first that is there."""
        return min(-self.left // 2, self.read) if self.left < 0 else 0

    @property
    def words(self) -> int:
        """Of a row of a plane: zeros before the next row are those behind it, too."""
        last = min(max((self.g.in_w - self.left + 1) // 2, self.begin), self.read)
        return max(self.read - self.begin, last)

    @property
    def of_row(self) -> int:
        """Words for each row of outputs."""
        return self.g.stride_h * CHANNELS * self.words + 5 * self.g.out_w

    @property
    def table(self) -> int:
        """Words of a table of weights."""
        whole = self.g.k_w if self.g.stride_w == 1 else self.g.k_w // 2 + 2
        return 4 + (whole if self.whole else 3 * self.steps) * self.g.k_h

    @property
    def besides(self) -> int:
        """Words besides, but for tables."""
        lines = (self.g.k_h - 1) * self.g.dilation_h + 1 - self.g.stride_h
        return 12 + CHANNELS * self.words * lines + self.begin

    @property
    def there(self) -> int:
        """Words of a row whose two pixels are there."""
        return min(max((self.g.in_w - self.left) // 2, self.begin), self.words) - self.begin

    @property
    def half(self) -> bool:
        """Whether a last pixel shares its word with nothing."""
        return max(self.left, 0) + 2 * self.there < self.g.in_w and self.begin + self.there < self.words

    @property
    def steps_of_row(self) -> int:
        """Steps of a kernel row: words in which a tap is, of even outputs or of odd ones."""
        g, odd = self.g, self.g.pad_left % 2
        if g.dilation_w == 1:
            return self.steps
        single = g.stride_w == 1
        at = {i * g.dilation_w for i in range(g.k_w)}
        reach = (g.k_w - 1) * g.dilation_w + single
        return sum(bool(at & {k, k + 1}) or (single and k - 1 in at) for k in range(-odd, reach + 1, 2))

    def kernel_rows(self, row: int) -> range:
        """Kernel rows that a row of outputs meets the map with; one if there is none, all with a dilation."""
        if self.g.dilation_h > 1:
            return range(self.g.k_h)
        top = row * self.g.stride_h - self.g.pad_top
        first = min(max(-top, 0), self.g.k_h - 1)
        return range(first, min(max(self.g.in_h - top, first + 1), self.g.k_h))

    def lines(self, rows: int) -> int:
        """Rows of a plane for so many of outputs."""
        return (self.g.k_h - 1) * self.g.dilation_h + 1 + (rows - 1) * self.g.stride_h

    def tables(self, room: int) -> int:
        """How many with so many bytes: of all channels, or of one where there is no room for more."""
        return (
            CHANNELS if self.close or room // 4 - self.besides - CHANNELS * self.table >= self.of_row else 1
        )

    def rows(self, room: int) -> int:
        """Rows of outputs at a time with so many bytes; 0 where they are too few."""
        rest = room // 4 - self.besides - self.tables(room) * self.table
        return min(max(0, rest) // self.of_row, self.g.out_h)

    def bytes_for(self, rows: int) -> int:
        """The reverse; for no row, what one row takes with one table."""
        tables = CHANNELS if rows or self.close else 1
        return 4 * (self.besides + tables * self.table + max(rows, 1) * self.of_row)


def on_the_map(g: Conv2dStruct) -> Conv2dStruct:
    """Less rows and columns of taps that are beside the map for all outputs."""
    top, height = _taps(g.in_h, g.out_h, g.k_h, g.stride_h, g.pad_top, g.dilation_h)
    left, width = _taps(g.in_w, g.out_w, g.k_w, g.stride_w, g.pad_left, g.dilation_w)
    return replace(g, k_h=height, k_w=width, pad_top=top, pad_left=left)


def _taps(size: int, out: int, taps: int, stride: int, pad: int, dilation: int) -> tuple[int, int]:
    """Padding and taps of an axis; as they are where no tap is on the map."""
    first = -(-max(pad - (out - 1) * stride, 0) // dilation)
    end = min(-(-(pad + size) // dilation), taps)
    return (pad - first * dilation, end - first) if first < end else (pad, taps)


def exchanged(g: Conv2dStruct) -> Conv2dStruct:
    """Rows for columns."""
    return replace(
        g,
        in_h=g.in_w,
        in_w=g.in_h,
        out_h=g.out_w,
        out_w=g.out_h,
        k_h=g.k_w,
        k_w=g.k_h,
        stride_h=g.stride_w,
        stride_w=g.stride_h,
        pad_top=g.pad_left,
        pad_left=g.pad_top,
        dilation_h=g.dilation_w,
        dilation_w=g.dilation_h,
    )


def served(g: Conv2dStruct) -> Axes | None:
    """None where planes are of no use."""
    return Axes.of(g) if g.in_c == g.out_c >= CHANNELS else None


def bands(rows: int, bytes_for: Callable[[int], int], own: int) -> tuple[int, ...]:
    """Bytes: none, or for 0, 1, 2, 4 rows of outputs and so on, or for all; more than a kernel has anyway."""
    sizes = {bytes_for(n) for n in (0, *(1 << i for i in range(rows.bit_length())), rows) if n <= rows}
    return (0, *sorted(n for n in sizes if n > own))


def forward_own(g: Conv2dStruct) -> int:
    """Bytes that a forward pass has anyway: for weights side by side, from the first that is aligned on."""
    return g.k_h * g.k_w * min(g.out_c, BLOCK) - 3


def grad_input_own(g: Conv2dStruct) -> int:
    """Likewise that of the error of an input."""
    return g.k_h * g.k_w * min(g.in_c, BLOCK) - 3


def update_own(g: Conv2dStruct) -> int:
    """Likewise an update: where other bodies keep gradients of some channels."""
    return 4 * (min(PLANE_UPDATE_ROWS, g.out_c) + 1) * g.k_h * g.k_w


def plane_forward_scratch(g: Conv2dStruct) -> tuple[int, ...]:
    """What planes of some rows need."""
    axes = served(g)
    return (0,) if axes is None else bands(axes.g.out_h, axes.bytes_for, forward_own(g))


def plane_grad_input_scratch(g: Conv2dStruct) -> tuple[int, ...]:
    """What planes of some rows need, of each kind of input pixels."""
    if g.in_c != g.out_c or g.in_c < CHANNELS:
        return (0,)
    found = (Axes.of(each) for each in kinds(g, g.out_c))
    sizes = {n for a in found if a is not None for n in bands(a.g.out_h, a.bytes_for, grad_input_own(g))}
    return tuple(sorted({0, *sizes}))


@dataclass(frozen=True)
class Gradient:
    """How planes of errors and of inputs lie for a gradient.

    Attributes:
        axes: of the layer.
    """

    axes: Axes

    @property
    def reach(self) -> int:
        """Pixels from where a window begins in a word to its last tap."""
        g = self.axes.g
        return g.pad_left % 2 + (g.k_w - 1) * g.dilation_w

    @property
    def read(self) -> int:
        """Words of a row of inputs that are read."""
        return (self.axes.g.stride_w * (self.axes.g.out_w - 1) + self.reach) // 2 + 1

    @property
    def begin(self) -> int:
        """Words before the first that is there."""
        return min(-self.axes.left // 2, self.read) if self.axes.left < 0 else 0

    @property
    def e_words(self) -> int:
        """Of a row of errors."""
        return ((self.axes.g.out_w + 1) // 2 + 1) // 2 * 2

    @property
    def x_words(self) -> int:
        """Of a row of inputs."""
        last = min(max((self.axes.g.in_w - self.axes.left + 1) // 2, self.begin), self.read)
        return max(self.read - self.begin, last)

    @property
    def of_row(self) -> int:
        """Words for each row of errors."""
        return CHANNELS * (self.e_words + self.axes.g.stride_h * self.x_words)

    @property
    def besides(self) -> int:
        """Words besides."""
        g = self.axes.g
        lines = (g.k_h - 1) * g.dilation_h + 1 - g.stride_h
        beyond = self.begin + self.reach // 2 + g.stride_w * self.e_words + 3
        places = 3 * self.groups * g.k_h
        known = ROW + up4(g.k_h * g.k_w) + 4 + places
        return CHANNELS * (known + lines * self.x_words) + places + beyond

    @property
    def groups(self) -> int:
        """Threes of taps of a row; single taps where they are no neighbours."""
        return -(-self.axes.g.k_w // 3) if self.axes.g.dilation_w == 1 else self.axes.g.k_w

    @property
    def there(self) -> int:
        """Words of a row of inputs whose two pixels are there."""
        return min(max((self.axes.g.in_w - self.axes.left) // 2, self.begin), self.x_words) - self.begin

    @property
    def half(self) -> bool:
        """Whether a last pixel of inputs shares its word with nothing."""
        behind = max(self.axes.left, 0) + 2 * self.there
        return behind < self.axes.g.in_w and self.begin + self.there < self.x_words

    def lines(self, rows: int) -> int:
        """Rows of a plane of inputs for so many of errors."""
        return self.axes.lines(rows)

    def rows(self, room: int) -> int:
        """Rows of errors at a time with so many bytes; 0 where they are too few."""
        return min(max(0, room // 4 - self.besides) // self.of_row, self.axes.g.out_h)

    def bytes_for(self, rows: int) -> int:
        """Of so many rows of errors at a time, one at least."""
        return 4 * (self.besides + max(rows, 1) * self.of_row)


def plane_update_scratch(g: Conv2dStruct) -> tuple[int, ...]:
    """What planes of some rows need."""
    axes = served(g)
    return (0,) if axes is None else bands(axes.g.out_h, Gradient(axes).bytes_for, update_own(g))
