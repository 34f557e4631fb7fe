/* What sketches see of an Arduino core: its macros, which get into the way of names, and a serial port. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HIGH 0x1
#define LOW 0x0
#define INPUT 0x0
#define OUTPUT 0x1
#define LSBFIRST 0
#define MSBFIRST 1
#define CHANGE 2
#define DEFAULT 1
#define EXTERNAL 0
#define PI 3.1415926535897932384626433832795
#define EULER 2.718281828459045235360287471352
#define SERIAL 0x0
#define DISPLAY 0x1
#define B1 1
#define A0 14
#define F(text) (text)
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define abs(x) ((x) > 0 ? (x) : -(x))
#define round(x) ((x) >= 0 ? (long)((x) + 0.5) : (long)((x) - 0.5))
#define constrain(x, low, high) ((x) < (low) ? (low) : ((x) > (high) ? (high) : (x)))
#define radians(deg) ((deg) * (PI / 180))
#define sq(x) ((x) * (x))
#define bit(b) (1UL << (b))
#define bitRead(value, bit) (((value) >> (bit)) & 0x01)
#define lowByte(w) ((uint8_t)((w) & 0xff))
#define highByte(w) ((uint8_t)((w) >> 8))
#define interrupts() (void)0
#define noInterrupts() (void)0

typedef bool boolean;
typedef uint8_t byte;
typedef unsigned int word;

class Port {
   public:
    void begin(unsigned long baud);
    void setTimeout(unsigned long milliseconds);
    size_t readBytes(char *to, size_t size);
    size_t readBytes(uint8_t *to, size_t size) { return readBytes((char *)to, size); }
    size_t print(const char *text);
    size_t print(char letter);
    size_t print(unsigned char value, int base = 10);
    size_t print(int value, int base = 10);
    size_t print(unsigned int value, int base = 10);
    size_t print(long value, int base = 10);
    size_t print(unsigned long value, int base = 10);
    size_t print(double value, int digits = 2);
    size_t println();
    size_t println(const char *text) { return print(text) + println(); }
    size_t println(int value, int base = 10) { return print(value, base) + println(); }
};
extern Port Serial;

void setup();
void loop();

#endif
