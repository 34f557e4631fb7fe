/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

void mcg_panel_axis(int32_t place, int32_t size, int32_t kernel, int32_t stride, int32_t pad,
                    int32_t dilation, mcg_panel_axis_t *a)
{
    int32_t first = (place - pad) % stride;
    int32_t tap = 0;
    first += first < 0 ? stride : 0;
    while (tap < kernel && (place - tap * dilation) % stride != 0) {
        tap++;
    }
    a->first = first;
    a->count = first < size ? (size - first + stride - 1) / stride : 0;
    a->tap = tap;
    a->step = 1;
    while (a->step * dilation % stride != 0) {
        a->step++;
    }
    a->taps = (kernel - tap + a->step - 1) / a->step;
    a->at = (first + pad - tap * dilation) / stride;
    a->apart = a->step * dilation / stride;
}
