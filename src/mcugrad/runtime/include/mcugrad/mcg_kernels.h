/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kernel, by subject: the one header that sources include, and what holds for all of them.
 * Arrays are row-major; constants first, then inputs, then what is written, then scratch.
 * A kernel cannot fail: the compiler proved its arguments. Scalars that training adapts, and what is
 * derived from them, are passed by pointer; what is fixed when the model is compiled by value or in a struct.
 * Files named as references lie in the Python package; docs/arithmetic.md says what they compute.
 */
#ifndef MCG_KERNELS_H
#define MCG_KERNELS_H

#include "mcg_activations.h"
#include "mcg_check.h"
#include "mcg_convolutions.h"
#include "mcg_joins.h"
#include "mcg_life.h"
#include "mcg_linear.h"
#include "mcg_losses.h"
#include "mcg_parts.h"
#include "mcg_pools.h"
#include "mcg_ranges.h"
#include "mcg_select.h"
#include "mcg_shared.h"
#include "mcg_updates.h"

#endif /* MCG_KERNELS_H */
