/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_panel_axis(int32_t place, int32_t size, int32_t kernel, int32_t stride, int32_t pad,
                    int32_t dilation, mcg_panel_axis_t *a)
{
    const mcg_panel_axis_t all = {0, size, 0, 1, kernel, pad, dilation};
    *a = all;
    if (stride == 1) { /* quotients take long on cores that have no instruction for them */
        return;
    }
    a->first = (place - pad) % stride;
    a->first += a->first < 0 ? stride : 0;
    a->count = a->first < size ? (size - a->first + stride - 1) / stride : 0;
    while (a->tap < kernel && (place - a->tap * dilation) % stride != 0) {
        a->tap++;
    }
    while (a->step * dilation % stride != 0) {
        a->step++;
    }
    a->taps = (kernel - a->tap + a->step - 1) / a->step;
    a->at = (a->first + pad - a->tap * dilation) / stride;
    a->apart = a->step * dilation / stride;
}
