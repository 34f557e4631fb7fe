"""c: two files of C for any build system, with an example beside them."""

from mcugrad.emit.format import Format, Part

FORMAT = Format(
    name="c",
    help="NAME.c and NAME.h, for any project",
    code="",
    # The example is not beside the model, where Arduino and PlatformIO compile every file.
    parts=(Part("examples/main.c", "an example to start from: copy it", "main.c.j2"),),
    use=(
        "Add `{name}.c` to your project; there is nothing else to install. As an Arduino or PlatformIO library the "
        "folder goes into `libraries/` or\n`lib/` as it is, for they do not compile `examples/`; what compiles all "
        "that lies below a folder, as STM32CubeIDE, PlatformIO's `src/` and a sketch's\n`src/` do, must not find it."
    ),
)
