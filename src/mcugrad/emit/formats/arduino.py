"""arduino: a library for the Arduino IDE, its command line, and PlatformIO.

As the Arduino library specification has it, revision 2.2: metadata in `library.properties`, code in `src/`, and a
sketch in a folder of its own name below `examples/`.
"""

from mcugrad.emit.format import Format, Part

# What Arduino's cores and the libraries of its own have: file systems without case find these for `<name>.h`.
_HEADERS = """
    arduino binary client common hardwareserial interrupts ipaddress pins_arduino print printable server spi stream
    tone udp usbapi wcharacter winterrupts wire wiring_private wmath wstring
    arduinoble bridge eeprom ethernet gsm keyboard liquidcrystal mouse sd servo softwareserial stepper tft wifi wifinina
"""

FORMAT = Format(
    name="arduino",
    help="an Arduino library, for PlatformIO, too, with a sketch",
    code="src/",
    parts=(
        Part("library.properties", "what the Arduino IDE shows of the library", "arduino.properties.j2"),
        Part("examples/{name}/{name}.ino", "a sketch to start from: copy it", "arduino.ino.j2"),
    ),
    use=(
        "The Arduino IDE takes this folder zipped (Sketch > Include Library > Add .ZIP Library); `libraries/` of a "
        "sketchbook and `lib/`\nof a PlatformIO project take it as it is. File > Examples then has a sketch that works "
        "with what comes over the serial port;\nits first lines say how. Version, maintainer and url in "
        "`library.properties` are yours to say. A core of 8 bits, as on an Uno R3,\nis refused when the library is "
        "compiled; one of 32 will do."
    ),
    taken=frozenset(_HEADERS.split()),
)
