/* A sketch on this computer: the port is stdin and stdout; what was learned is written at the end. */
#include <stdio.h>

#include "sketch.h"

Port Serial;

static bool ended;

void Port::begin(unsigned long) {}
void Port::setTimeout(unsigned long) {}
size_t Port::readBytes(char *to, size_t size)
{
    const size_t found = fread(to, 1, size, stdin);
    ended = found < size;
    return found;
}
size_t Port::print(const char *text) { return (size_t)printf("%s", text); }
size_t Port::print(int value, int) { return (size_t)printf("%d", value); }
size_t Port::print(double value, int digits) { return (size_t)printf("%.*f", digits, value); }
size_t Port::println() { return (size_t)printf("\r\n"); }

int main(int, char **arguments)
{
    setup();
    while (!ended) {
        loop();
    }
    FILE *const file = fopen(arguments[1], "wb");
    fwrite(&model, sizeof model, 1, file);
    return fclose(file);
}
