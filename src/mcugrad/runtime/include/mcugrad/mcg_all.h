/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kernel, by family: the one header that sources include, and what holds for all of them.
 * Arrays are row-major; constants first, then inputs, then what is written, then scratch.
 * A kernel cannot fail: the compiler proved its arguments. Scalars that training adapts, and what is
 * derived from them, are passed by pointer; what is fixed when the model is compiled by value or in a struct.
 * Kernels in float32 have only + - * / and comparisons, compiled without contraction, and each sum in one
 * order: the same bits everywhere.
 * Files named as references lie in the Python package; docs/arithmetic.md says what they compute.
 */
#ifndef MCG_ALL_H
#define MCG_ALL_H

#include "mcg_activation.h"
#include "mcg_avx2.h"
#include "mcg_bands.h"
#include "mcg_beyond.h"
#include "mcg_convolution.h"
#include "mcg_convolution_f32.h"
#include "mcg_convolution_frozen.h"
#include "mcg_convolution_pooled.h"
#include "mcg_core.h"
#include "mcg_forward.h"
#include "mcg_joining.h"
#include "mcg_life.h"
#include "mcg_life_calls.h"
#include "mcg_linear.h"
#include "mcg_loss.h"
#include "mcg_movement.h"
#include "mcg_pairs.h"
#include "mcg_pixels.h"
#include "mcg_pooling.h"
#include "mcg_rows.h"
#include "mcg_selection.h"
#include "mcg_thin.h"
#include "mcg_tracking.h"
#include "mcg_update.h"

#endif /* MCG_ALL_H */
