/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

MCG_APART
int32_t mcg_row_list(const int8_t *e, int32_t count, const uint16_t *active, int32_t first, int32_t pitch,
                     mcg_row_group_t *list)
{
    mcg_row_group_t *group = list;
    int32_t at = first * pitch;
    int32_t k = 0;
    for (int32_t o = 0; o < count; o++) {
        if (active != NULL) {
            at = active[1 + o] * pitch;
        }
        if (e[o] != 0) {
            group->at[k] = at;
            group->error[k] = e[o];
            if (++k == 4) {
                k = 0;
                group++;
            }
        }
        at += pitch;
    }
    if (k == 0) {
        return (int32_t)(group - list);
    }
    for (; k < 4; k++) { /* any row will do, with an error of 0 */
        group->at[k] = group->at[0];
        group->error[k] = 0;
    }
    return (int32_t)(group - list) + 1;
}
