// Square roots, each rounded once, and with AVX-512 two ways to one: the instruction keeps the divider busy,
// which an optimizer's step needs for its quotient too, and processors have dividers of very different speed.
// choose_roots() (kernels/optimizers.hpp, with the measurements) says which way is faster here.
#pragma once

#include "simd.hpp"

namespace onefold::ONEFOLD_LEVEL {

// Sets root to sqrt(v) where that is quick, m has no denormal number and no negative zero, and v, which never
// has negative zeros, no denormal number; else it says false.
template <class V>
ONEFOLD_INLINE bool root_of_settled(V, V, V&) {
    return false;
}

#if ONEFOLD_VECTOR_BYTES == 64
// The square root of x, rounded once, from an estimate of its reciprocal: a Newton step for both, then one
// correction by the exact rest (Markstein 2004). Every x of [1, 4) comes out right from every estimate within
// the bound of 2^-14 that processors keep (tests/native/test_sqrt.cpp tries them all), and so does x times a
// power of four, as long as the rest is not denormal.
ONEFOLD_INLINE __m512 square_root(__m512 x, __m512 estimate) {
    const __m512 half = _mm512_set1_ps(0.5f);
    const __m512 root = _mm512_mul_ps(x, estimate), reciprocal = _mm512_mul_ps(half, estimate);
    const __m512 error = _mm512_fnmadd_ps(root, reciprocal, half);
    const __m512 better = _mm512_fmadd_ps(root, error, root);
    const __m512 rest = _mm512_fnmadd_ps(better, better, x);
    return _mm512_fmadd_ps(rest, _mm512_fmadd_ps(reciprocal, error, reciprocal), better);
}
// Whether roots are made of products; never those of a vector with a value below 2^-96 that is not zero, an
// infinity, a NaN or a negative value.
inline bool roots_from_products = false;
ONEFOLD_INLINE __mmask16 not_zero(__m512 x) {
    return _mm512_cmp_ps_mask(x, __m512{}, _CMP_NEQ_UQ);
}
// Those of some lanes of which products make no root.
ONEFOLD_INLINE __mmask16 left_alone(__mmask16 some, __m512 x) {
    const __m512i above = _mm512_sub_epi32((__m512i)x, _mm512_set1_epi32((127 - 96) << 23));
    const __m512i range = _mm512_set1_epi32((96 + 128) << 23);
    return _mm512_mask_cmp_epu32_mask(some, above, range, _MM_CMPINT_NLT);
}
ONEFOLD_INLINE Vf sqrt(Vf a) {
    const __m512 x = (__m512)a;
    if (!roots_from_products) return (Vf)_mm512_sqrt_ps(x);
    const __mmask16 some = not_zero(x);
    if (left_alone(some, x) != 0) [[unlikely]]
        return (Vf)_mm512_sqrt_ps(x);
    return (Vf)square_root(x, _mm512_maskz_rsqrt14_ps(some, x));  // of a zero: that zero
}
ONEFOLD_INLINE Vd sqrt(Vd a) {
    return (Vd)_mm512_sqrt_pd((__m512d)a);
}
ONEFOLD_INLINE bool root_of_settled(Vf m, Vf v, Vf& root) {
    if (!roots_from_products) return false;
    constexpr int unsettled = 0x20 | 0x04;  // denormal, or the negative zero
    const __mmask16 some = not_zero((__m512)v);
    if (!_kortestz_mask16_u8(left_alone(some, (__m512)v), _mm512_fpclass_ps_mask((__m512)m, unsettled)))
        [[unlikely]]
        return false;
    root = (Vf)square_root((__m512)v, _mm512_maskz_rsqrt14_ps(some, (__m512)v));
    return true;
}
#elif ONEFOLD_VECTOR_BYTES == 32
ONEFOLD_INLINE Vf sqrt(Vf a) {
    return (Vf)_mm256_sqrt_ps((__m256)a);
}
ONEFOLD_INLINE Vd sqrt(Vd a) {
    return (Vd)_mm256_sqrt_pd((__m256d)a);
}
#elif defined(ONEFOLD_NEON)
ONEFOLD_INLINE Vf sqrt(Vf a) {
    return (Vf)vsqrtq_f32((float32x4_t)a);
}
ONEFOLD_INLINE Vd sqrt(Vd a) {
    return (Vd)vsqrtq_f64((float64x2_t)a);
}
#else
ONEFOLD_INLINE Vf sqrt(Vf a) {
    Vf r;
    for (int i = 0; i < lanes<float>; ++i) r[i] = __builtin_sqrtf(a[i]);
    return r;
}
ONEFOLD_INLINE Vd sqrt(Vd a) {
    Vd r;
    for (int i = 0; i < lanes<double>; ++i) r[i] = __builtin_sqrt(a[i]);
    return r;
}
#endif

// Scalars, in the same word.
ONEFOLD_INLINE float sqrt(float a) {
    return __builtin_sqrtf(a);
}
ONEFOLD_INLINE double sqrt(double a) {
    return __builtin_sqrt(a);
}

}  // namespace onefold::ONEFOLD_LEVEL
