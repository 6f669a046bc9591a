// The only file in which an instruction set shows.
//
// A level file (isa/<level>.cpp) defines ONEFOLD_LEVEL, the name of its namespace, and
// ONEFOLD_VECTOR_BYTES, its native width, and then includes the kernels. Every operation here is
// one IEEE 754 operation a lane, so a kernel written with them gives the same bits at every width.
// (A NaN's payload and sign are not part of that promise.)
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace onefold::ONEFOLD_LEVEL {

#define ONEFOLD_INLINE [[gnu::always_inline]] static inline

template <class T>
struct VectorOf;

template <>
struct VectorOf<float> {
    typedef float type __attribute__((vector_size(ONEFOLD_VECTOR_BYTES)));
    typedef int32_t integers __attribute__((vector_size(ONEFOLD_VECTOR_BYTES)));
    using integer = int32_t;
};

template <>
struct VectorOf<double> {
    typedef double type __attribute__((vector_size(ONEFOLD_VECTOR_BYTES)));
    typedef int64_t integers __attribute__((vector_size(ONEFOLD_VECTOR_BYTES)));
    using integer = int64_t;
};

// Vec<T>: native-width values; IVec<T>: as many signed integers of the same size. Comparisons of
// Vec give IVec masks (-1 or 0), which select() takes. A C-style cast between the two keeps bits.
template <class T>
using Vec = typename VectorOf<T>::type;
template <class T>
using IVec = typename VectorOf<T>::integers;
template <class T>
inline constexpr int lanes = ONEFOLD_VECTOR_BYTES / int(sizeof(T));

using Vf = Vec<float>;
using Vd = Vec<double>;

// Lanes of the fixed reductions (two vectors or more where the native width is smaller).
inline constexpr int kReductionLanes = 16;

template <class T>
ONEFOLD_INLINE Vec<T> load(const T* p) {
    Vec<T> v;
    memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
ONEFOLD_INLINE void store(T* p, Vec<T> v) {
    memcpy(p, &v, sizeof v);
}

// The first n of a vector's lanes (0 < n <= lanes<T>); the others read as zero.
template <class T>
ONEFOLD_INLINE Vec<T> load_part(const T* p, int64_t n) {
    Vec<T> v = {};
    memcpy(&v, p, size_t(n) * sizeof(T));
    return v;
}

template <class T>
ONEFOLD_INLINE void store_part(T* p, Vec<T> v, int64_t n) {
    memcpy(p, &v, size_t(n) * sizeof(T));
}

template <class T>
ONEFOLD_INLINE Vec<T> broadcast(T x) {
    return Vec<T>{} + x;  // -0 becomes +0: use broadcast_bits where the sign of zero matters
}

template <class T>
ONEFOLD_INLINE Vec<T> broadcast_bits(T x) {
    using I = typename VectorOf<T>::integer;
    I bits;
    memcpy(&bits, &x, sizeof x);
    return (Vec<T>)(IVec<T>{} + bits);
}

template <class T>
ONEFOLD_INLINE Vec<T> select(IVec<T> mask, Vec<T> yes, Vec<T> no) {
    return mask ? yes : no;
}
ONEFOLD_INLINE Vf select(IVec<float> mask, Vf yes, Vf no) {
    return mask ? yes : no;
}
ONEFOLD_INLINE Vd select(IVec<double> mask, Vd yes, Vd no) {
    return mask ? yes : no;
}

#if ONEFOLD_VECTOR_BYTES == 64
ONEFOLD_INLINE Vf fma(Vf a, Vf b, Vf c) {
    return (Vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
ONEFOLD_INLINE Vd fma(Vd a, Vd b, Vd c) {
    return (Vd)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
ONEFOLD_INLINE Vf sqrt(Vf a) {
    return (Vf)_mm512_sqrt_ps((__m512)a);
}
ONEFOLD_INLINE Vd sqrt(Vd a) {
    return (Vd)_mm512_sqrt_pd((__m512d)a);
}
#elif ONEFOLD_VECTOR_BYTES == 32
ONEFOLD_INLINE Vf fma(Vf a, Vf b, Vf c) {
    return (Vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
ONEFOLD_INLINE Vd fma(Vd a, Vd b, Vd c) {
    return (Vd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
ONEFOLD_INLINE Vf sqrt(Vf a) {
    return (Vf)_mm256_sqrt_ps((__m256)a);
}
ONEFOLD_INLINE Vd sqrt(Vd a) {
    return (Vd)_mm256_sqrt_pd((__m256d)a);
}
#elif defined(ONEFOLD_NEON)
ONEFOLD_INLINE Vf fma(Vf a, Vf b, Vf c) {
    return (Vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
ONEFOLD_INLINE Vd fma(Vd a, Vd b, Vd c) {
    return (Vd)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
ONEFOLD_INLINE Vf sqrt(Vf a) {
    return (Vf)vsqrtq_f32((float32x4_t)a);
}
ONEFOLD_INLINE Vd sqrt(Vd a) {
    return (Vd)vsqrtq_f64((float64x2_t)a);
}
#else
ONEFOLD_INLINE Vf fma(Vf a, Vf b, Vf c) {
    Vf r;
    for (int i = 0; i < lanes<float>; ++i) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return r;
}
ONEFOLD_INLINE Vd fma(Vd a, Vd b, Vd c) {
    Vd r;
    for (int i = 0; i < lanes<double>; ++i) r[i] = __builtin_fma(a[i], b[i], c[i]);
    return r;
}
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

// Scalars, in the same words, for code that is written once for both.
ONEFOLD_INLINE float fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
ONEFOLD_INLINE double fma(double a, double b, double c) {
    return __builtin_fma(a, b, c);
}
ONEFOLD_INLINE float sqrt(float a) {
    return __builtin_sqrtf(a);
}
ONEFOLD_INLINE double sqrt(double a) {
    return __builtin_sqrt(a);
}

// abs, negate and sign of zero by bits: no rounding, NaN stays NaN.
template <class T>
ONEFOLD_INLINE IVec<T> sign_bit() {
    using I = typename VectorOf<T>::integer;
    return IVec<T>{} + I(I(1) << (sizeof(I) * 8 - 1));
}
ONEFOLD_INLINE Vf abs(Vf a) {
    return (Vf)((IVec<float>)a & ~sign_bit<float>());
}
ONEFOLD_INLINE Vd abs(Vd a) {
    return (Vd)((IVec<double>)a & ~sign_bit<double>());
}
// max(a, b): b where either is NaN; min likewise.
ONEFOLD_INLINE Vf max(Vf a, Vf b) {
    return a > b ? a : b;
}
ONEFOLD_INLINE Vd max(Vd a, Vd b) {
    return a > b ? a : b;
}
ONEFOLD_INLINE Vf min(Vf a, Vf b) {
    return a < b ? a : b;
}
ONEFOLD_INLINE Vd min(Vd a, Vd b) {
    return a < b ? a : b;
}

// Sixteen interleaved accumulators: element c of a row belongs to lane c mod 16, each lane is one
// chain over ascending c, and total() joins the lanes by one fixed tree. A row whose length is not
// a multiple of 16 is continued with the neutral element that the caller loads.
template <class T>
struct Lanes16 {
    static constexpr int parts = kReductionLanes / lanes<T>;
    Vec<T> part[parts];

    ONEFOLD_INLINE Lanes16 filled(T x) {
        Lanes16 r;
        for (int i = 0; i < parts; ++i) r.part[i] = broadcast(x);
        return r;
    }

    template <class Join>
    ONEFOLD_INLINE T fold(const Lanes16& a, Join join) {
        T lane[kReductionLanes];
        for (int i = 0; i < parts; ++i) store(lane + i * lanes<T>, a.part[i]);
        for (int half = kReductionLanes / 2; half > 0; half /= 2)
            for (int i = 0; i < half; ++i) lane[i] = join(lane[i], lane[i + half]);
        return lane[0];
    }
    ONEFOLD_INLINE T total(const Lanes16& a) {
        return fold(a, [](T x, T y) { return x + y; });
    }
};

}  // namespace onefold::ONEFOLD_LEVEL
