/* SPDX-License-Identifier: Apache-2.0 */
/* What a sanitizer calls where C leaves undefined what is done: the first place is kept until a test asks for
 * it. */
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *file;
    uint32_t line;
    uint32_t column;
} where_t;

const char *probe_undefined(int32_t *line);

static const where_t *first;

const char *probe_undefined(int32_t *line)
{
    const where_t *at = first;
    first = NULL;
    *line = at == NULL ? 0 : (int32_t)at->line;
    return at == NULL ? NULL : at->file;
}

/* Each is given its place first, and more that is not looked at. */
#define SEEN(name)                                 \
    void __ubsan_handle_##name(const where_t *at); \
    void __ubsan_handle_##name(const where_t *at) { first = first == NULL ? at : first; }

SEEN(add_overflow)
SEEN(sub_overflow)
SEEN(mul_overflow)
SEEN(negate_overflow)
SEEN(divrem_overflow)
SEEN(shift_out_of_bounds)
SEEN(out_of_bounds)
SEEN(type_mismatch_v1)
SEEN(alignment_assumption)
SEEN(pointer_overflow)
SEEN(float_cast_overflow)
SEEN(load_invalid_value)
SEEN(invalid_builtin)
SEEN(vla_bound_not_positive)
SEEN(nonnull_arg)

/* Behind these there is no code to go on with. */
#define ENDS(name)                                 \
    void __ubsan_handle_##name(const where_t *at); \
    void __ubsan_handle_##name(const where_t *at)  \
    {                                              \
        (void)at;                                  \
        __builtin_trap();                          \
    }

ENDS(builtin_unreachable)
ENDS(missing_return)
