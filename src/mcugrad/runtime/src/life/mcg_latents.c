/* SPDX-License-Identifier: Apache-2.0 */
#include "mcugrad/mcg_all.h"

mcg_status_t mcg_latents(const mcg_rest_t *rest, void *m, const int8_t *x, int8_t *latents)
{
    if (m == NULL || x == NULL || latents == NULL) {
        return MCG_ERR_NULL;
    }
    if (!mcg_is_of(&rest->model, m)) {
        return MCG_ERR_STATE;
    }
    rest->latents(m, x, latents);
    return MCG_OK;
}
