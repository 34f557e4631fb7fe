/* SPDX-License-Identifier: Apache-2.0 */
/* Losses of a sample, and the error of the output that they begin with. */
#ifndef MCG_LOSS_H
#define MCG_LOSS_H

#include "mcg_core.h"

/**
 * @brief Loss of a sample and the error of the logits, normalised: its largest magnitude becomes 127.
 *
 * @param[in]  classes     number of logits
 * @param[in]  channels    output channels of the layer that made them; classes is a multiple
 * @param[in]  zero        zero point of the logits
 * @param[in]  logits      [classes]
 * @param[in]  scale       real units per step of the logits, not negative
 * @param[in]  label       the sample's class, below classes
 * @param[in]  smoothing   share of the label spread over all classes
 * @param[in]  w_scale     weight scales of that layer, [channels]: the error is stored divided by c / w_scale
 * @param[in]  clip        bounds of that layer's activation function; logits on or beyond them get no error
 * @param[out] e           error, [classes], in [-127, 127]
 * @param[out] c           unit and fill of the error, [2]; the fill is 1, or 0 where there is no error
 * @param[out] loss        cross-entropy in nats
 * @param[out] confidence  largest probability
 * @param[out] probability [classes]; holds the real error times w_scale afterwards
 *
 * MACs: none. Stack: none. Reference: ops/loss/softmax_cross_entropy_s8.py::softmax_cross_entropy_s8.
 */
void mcg_softmax_cross_entropy_s8(int32_t classes, int32_t channels, int32_t zero, const int8_t *logits,
                                  const float *scale, uint32_t label, const float *smoothing,
                                  const float *w_scale, const int32_t *clip, int8_t *e, float *c, float *loss,
                                  float *confidence, float *probability);

/**
 * @brief Multiplies the loss of a sample, and the unit of its error, by the weight of its class.
 *
 * @param[in]     label  class of the sample
 * @param[in]     weight per class
 * @param[in,out] c      unit of the output error (its fill lies behind it)
 * @param[in,out] loss   of the sample
 *
 * Reference: ops/loss/softmax_cross_entropy_s8.py::weigh_loss.
 */
void mcg_weigh_loss(uint32_t label, const float *weight, float *c, float *loss);

/**
 * @brief Cross-entropy towards what is wanted of each class, both at a temperature of 3, and its derivative.
 *
 * @param[in]  classes     number of classes, at most 65535
 * @param[in]  channels    output channels of the layer that made them; classes is a multiple
 * @param[in]  zero        zero point of the logits
 * @param[in]  logits      [classes]
 * @param[in]  scale       real units per step of the logits, not negative
 * @param[in]  soft        wanted, relative to their sum, [classes]; not all zero
 * @param[in]  w_scale     weight scales of that layer, [channels]: the error is stored divided by c / w_scale
 * @param[in]  clip        bounds of that layer's activation function; logits on or beyond them get no error
 * @param[out] e           error, [classes], in [-127, 127]
 * @param[out] c           unit and fill of the error, [2]; the fill is 1, or 0 where there is no error
 * @param[out] loss        cross-entropy in nats, times 9
 * @param[out] confidence  largest probability, without temperature
 * @param[out] ratio       half the sum of the differences of both distributions, in [0, 1]; NULL if not
 * wanted
 * @param[out] probability [classes]; holds the real error times w_scale afterwards
 *
 * MACs: none. Stack: none. Reference: ops/loss/soft_cross_entropy_s8.py::soft_cross_entropy_s8.
 */
void mcg_soft_cross_entropy_s8(int32_t classes, int32_t channels, int32_t zero, const int8_t *logits,
                               const float *scale, const uint8_t *soft, const float *w_scale,
                               const int32_t *clip, int8_t *e, float *c, float *loss, float *confidence,
                               float *ratio, float *probability);

/**
 * @brief Probabilities at a temperature of 3, relative to the largest one, as a soft label keeps them.
 *
 * @param[in]  classes number of classes
 * @param[in]  logits  [classes]
 * @param[in]  scale   real units per step of the logits
 * @param[out] soft    [classes]; the largest is 255, if the scale is a number
 *
 * Reference: ops/loss/soft_cross_entropy_s8.py::soften_s8.
 */
void mcg_soften_s8(int32_t classes, const int8_t *logits, const float *scale, uint8_t *soft);

/**
 * @brief Quantizes the output error: scaled by what it carries, masked, its largest entry 127.
 *
 * @param[in]     outputs  number of outputs
 * @param[in]     channels number of scales; they repeat
 * @param[in]     zero     zero point of y
 * @param[in]     y        outputs, [outputs]
 * @param[in]     w_scale  scales that the error carries, [channels]
 * @param[in]     clip     bounds of the activation function that made y, [2]
 * @param[in,out] error    derivatives of the loss, real units, [outputs]; overwritten
 * @param[out]    e        error, [outputs]
 * @param[out]    c        its unit and fill, [2]; the fill is 1, or 0 where there is no error
 *
 * Reference: ops/loss/output_error_s8.py::write_output_error.
 */
void mcg_output_error_s8(int32_t outputs, int32_t channels, int32_t zero, const int8_t *y,
                         const float *w_scale, const int32_t *clip, float *error, int8_t *e, float *c);

/**
 * @brief Binary cross-entropy of several labels: loss and output error.
 *
 * @param[in]  outputs  number of labels
 * @param[in]  channels number of scales that the error carries; they repeat
 * @param[in]  zero     zero point of the logits
 * @param[in]  logits   [outputs]
 * @param[in]  scale    of the logits
 * @param[in]  label    not 0 where a label applies, [outputs]
 * @param[in]  w_scale  scales that the error carries, [channels]
 * @param[in]  clip     bounds of the activation function that made the logits, [2]
 * @param[out] e        error, [outputs]
 * @param[out] c        its unit and fill, [2]; the fill is 1, or 0 where there is no error
 * @param[out] loss     mean over labels, nats
 * @param[out] error    scratch, [outputs]
 *
 * Reference: ops/loss/binary_cross_entropy_s8.py::binary_cross_entropy_s8.
 */
void mcg_binary_cross_entropy_s8(int32_t outputs, int32_t channels, int32_t zero, const int8_t *logits,
                                 const float *scale, const uint8_t *label, const float *w_scale,
                                 const int32_t *clip, int8_t *e, float *c, float *loss, float *error);

/**
 * @brief Mean squared, mean absolute or Huber loss: loss and output error.
 *
 * @param[in]  outputs      number of outputs
 * @param[in]  channels     number of scales that the error carries; they repeat
 * @param[in]  y_zero       zero point of y
 * @param[in]  label_zero   zero point of the label
 * @param[in]  y            outputs, [outputs]
 * @param[in]  y_scale      scale of y
 * @param[in]  label        wanted outputs, [outputs]
 * @param[in]  label_scale  scale of the label
 * @param[in]  linear       distance from which on the loss is linear: 0 for absolute, 1e38 or more for
 * squared
 * @param[in]  w_scale      scales that the error carries, [channels]
 * @param[in]  clip         bounds of the activation function that made y, [2]
 * @param[out] e            error, [outputs]
 * @param[out] c            its unit and fill, [2]; the fill is 1, or 0 where there is no error
 * @param[out] loss         mean over outputs
 * @param[out] error        scratch, [outputs]
 *
 * Reference: ops/loss/regression_s8.py::regression_loss_s8.
 */
void mcg_regression_loss_s8(int32_t outputs, int32_t channels, int32_t y_zero, int32_t label_zero,
                            const int8_t *y, const float *y_scale, const int8_t *label,
                            const float *label_scale, const float *linear, const float *w_scale,
                            const int32_t *clip, int8_t *e, float *c, float *loss, float *error);

/**
 * @brief Softmax cross-entropy of float logits, and its derivative.
 *
 * @param[in]  smoothing  share of the label spread over all classes
 * @param[out] e          derivatives, [classes]
 * @param[out] loss       nats
 * @param[out] confidence probability of the largest logit
 *
 * Reference: ops/loss/softmax_cross_entropy_f32.py::softmax_cross_entropy_f32.
 */
void mcg_softmax_cross_entropy_f32(int32_t classes, const float *logits, uint32_t label,
                                   const float *smoothing, float *e, float *loss, float *confidence);

/**
 * @brief Cross-entropy towards what is wanted of each class, both at a temperature of 3, and its derivative.
 *
 * @param[in]  classes    number of classes, at most 65535
 * @param[in]  logits     [classes]
 * @param[in]  soft       wanted, relative to their sum, [classes]; not all zero
 * @param[out] e          derivatives, [classes]
 * @param[out] loss       nats, times 9
 * @param[out] confidence probability of the largest logit, without temperature
 * @param[out] ratio      half the sum of the differences of both distributions, in [0, 1]; NULL if not wanted
 *
 * Reference: ops/loss/soft_cross_entropy_f32.py::soft_cross_entropy_f32.
 */
void mcg_soft_cross_entropy_f32(int32_t classes, const float *logits, const uint8_t *soft, float *e,
                                float *loss, float *confidence, float *ratio);

/**
 * @brief Probabilities at a temperature of 3, relative to the largest one, as a soft label keeps them.
 *
 * @param[out] soft [classes]; the largest is 255, if it is finite
 *
 * Reference: ops/loss/soft_cross_entropy_f32.py::soften_f32.
 */
void mcg_soften_f32(int32_t classes, const float *logits, uint8_t *soft);

/**
 * @brief Multiply the loss of a sample, and its errors, by the weight of its class.
 *
 * Reference: ops/loss/softmax_cross_entropy_f32.py::weigh_loss_f32.
 */
void mcg_weigh_loss_f32(int32_t classes, uint32_t label, const float *weight, float *e, float *loss);

/**
 * @brief Binary cross-entropy of float logits, mean over outputs, and its derivative; label[i] != 0 where
 * label i applies.
 *
 * Reference: ops/loss/binary_cross_entropy_f32.py::binary_cross_entropy_f32.
 */
void mcg_binary_cross_entropy_f32(int32_t outputs, const float *logits, const uint8_t *label, float *e,
                                  float *loss);

/**
 * @brief Squared, absolute or Huber loss, mean over outputs, and its derivative; e may be y.
 *
 * @param[in] label  int8, real = label_scale * (q - label_zero)
 * @param[in] linear where the loss turns linear: above 1e38 squared, 0 absolute
 *
 * Reference: ops/loss/regression_f32.py::regression_loss_f32.
 */
void mcg_regression_loss_f32(int32_t outputs, int32_t label_zero, const float *y, const int8_t *label,
                             const float *label_scale, const float *linear, float *e, float *loss);

#endif /* MCG_LOSS_H */
