// With square_root.hpp the only file of the kernels that has intrinsics of an instruction set.
//
// A level file (isa/<level>.cpp) defines ONEFOLD_LEVEL, the name of its namespace, and
// ONEFOLD_VECTOR_BYTES, its native width, and then includes the kernels. Every operation here is
// one IEEE 754 operation a lane, so a kernel written with them gives the same bits at every width.
// (A NaN's payload and sign are not part of that promise.)
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

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

// Vectors of 16 bytes of each of several rows, which are `step` elements apart.
inline constexpr int kHeads = ONEFOLD_VECTOR_BYTES / 16;
template <class T>
ONEFOLD_INLINE Vec<T> load_heads(const T* p, [[maybe_unused]] int64_t step) {
#if ONEFOLD_VECTOR_BYTES == 64
    const auto head = [=](int64_t row) { return _mm_loadu_si128((const __m128i*)(p + row * step)); };
    __m512i v = _mm512_castsi128_si512(head(0));
    v = _mm512_inserti32x4(v, head(1), 1);
    v = _mm512_inserti32x4(v, head(2), 2);
    return (Vec<T>)_mm512_inserti32x4(v, head(3), 3);
#elif ONEFOLD_VECTOR_BYTES == 32
    const auto head = [=](int64_t row) { return _mm_loadu_si128((const __m128i*)(p + row * step)); };
    return (Vec<T>)_mm256_inserti128_si256(_mm256_castsi128_si256(head(0)), head(1), 1);
#else
    return load(p);
#endif
}
template <class T>
ONEFOLD_INLINE void store_heads(T* p, [[maybe_unused]] int64_t step, Vec<T> v) {
#if ONEFOLD_VECTOR_BYTES == 64
    const auto put = [=](int64_t row, __m128i head) { _mm_storeu_si128((__m128i*)(p + row * step), head); };
    put(0, _mm512_castsi512_si128((__m512i)v));
    put(1, _mm512_extracti32x4_epi32((__m512i)v, 1));
    put(2, _mm512_extracti32x4_epi32((__m512i)v, 2));
    put(3, _mm512_extracti32x4_epi32((__m512i)v, 3));
#elif ONEFOLD_VECTOR_BYTES == 32
    const auto put = [=](int64_t row, __m128i head) { _mm_storeu_si128((__m128i*)(p + row * step), head); };
    put(0, _mm256_castsi256_si128((__m256i)v));
    put(1, _mm256_extracti128_si256((__m256i)v, 1));
#else
    store(p, v);
#endif
}

// To memory past the caches, at a multiple of the vector's length. Whoever lets others read what was stored
// so has to call __builtin_ia32_sfence first.
template <class T>
ONEFOLD_INLINE void stream(T* p, Vec<T> v) {
#if ONEFOLD_VECTOR_BYTES == 64
    _mm512_stream_si512(reinterpret_cast<__m512i*>(p), (__m512i)v);
#elif ONEFOLD_VECTOR_BYTES == 32
    _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)v);
#else
    store(p, v);
#endif
}

// 0, 1, 2, ...
template <class T>
ONEFOLD_INLINE IVec<T> lane_numbers() {
    using I = typename VectorOf<T>::integer;
    alignas(64) static constexpr I numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    IVec<T> lane;
    memcpy(&lane, numbers, sizeof lane);
    return lane;
}
// -1 in the first n lanes, 0 in the others; -1 in lane n alone, which may be no lane at all.
template <class T>
ONEFOLD_INLINE IVec<T> first_lanes(int64_t n) {
    return lane_numbers<T>() < typename VectorOf<T>::integer(n);
}
template <class T>
ONEFOLD_INLINE IVec<T> is_lane(int64_t n) {
    return lane_numbers<T>() == typename VectorOf<T>::integer(n);
}

// The first n of a vector's lanes (0 < n <= lanes<T>); the others read as zero and are not touched.
#if ONEFOLD_VECTOR_BYTES == 64
ONEFOLD_INLINE Vf load_part(const float* p, int64_t n) {
    return (Vf)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p);
}
ONEFOLD_INLINE Vd load_part(const double* p, int64_t n) {
    return (Vd)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p);
}
ONEFOLD_INLINE void store_part(float* p, Vf v, int64_t n) {
    _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), (__m512)v);
}
ONEFOLD_INLINE void store_part(double* p, Vd v, int64_t n) {
    _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), (__m512d)v);
}
#elif ONEFOLD_VECTOR_BYTES == 32
ONEFOLD_INLINE Vf load_part(const float* p, int64_t n) {
    return (Vf)_mm256_maskload_ps(p, (__m256i)first_lanes<float>(n));
}
ONEFOLD_INLINE Vd load_part(const double* p, int64_t n) {
    return (Vd)_mm256_maskload_pd(p, (__m256i)first_lanes<double>(n));
}
ONEFOLD_INLINE void store_part(float* p, Vf v, int64_t n) {
    _mm256_maskstore_ps(p, (__m256i)first_lanes<float>(n), (__m256)v);
}
ONEFOLD_INLINE void store_part(double* p, Vd v, int64_t n) {
    _mm256_maskstore_pd(p, (__m256i)first_lanes<double>(n), (__m256d)v);
}
#else
template <class T>
ONEFOLD_INLINE Vec<T> load_part(const T* p, int64_t n) {
    Vec<T> v = {};
    for (int i = 0; i < lanes<T>; ++i)
        if (i < n) v[i] = p[i];
    return v;
}
template <class V, class T>
ONEFOLD_INLINE void store_part(T* p, V v, int64_t n) {
    for (int i = 0; i < lanes<T>; ++i)
        if (i < n) p[i] = v[i];
}
#endif

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

// As many numbers as there are heads, each in all lanes of one.
template <class T>
ONEFOLD_INLINE Vec<T> spread_heads(const T* p) {
    Vec<T> v = broadcast_bits(p[kHeads - 1]);
#pragma GCC unroll 4
    for (int h = kHeads - 1; h > 0; --h)
        v = select(first_lanes<T>(h * lanes<T> / kHeads), broadcast_bits(p[h - 1]), v);
    return v;
}

// x where it has any of these bits, of which the sign is none, else zero.
#if ONEFOLD_VECTOR_BYTES == 64
ONEFOLD_INLINE Vf where_bits(Vf x, int32_t bits) {
    return (Vf)_mm512_maskz_mov_ps(_mm512_test_epi32_mask((__m512i)x, _mm512_set1_epi32(bits)), (__m512)x);
}
ONEFOLD_INLINE Vd where_bits(Vd x, int64_t bits) {
    return (Vd)_mm512_maskz_mov_pd(_mm512_test_epi64_mask((__m512i)x, _mm512_set1_epi64(bits)), (__m512d)x);
}
#else
ONEFOLD_INLINE Vf where_bits(Vf x, int32_t bits) {
#if ONEFOLD_VECTOR_BYTES == 32
    return (Vf)_mm256_sign_epi32((__m256i)x, (__m256i)((IVec<float>)x & bits));  // zero beside zeros
#else
    return select(((IVec<float>)x & bits) != 0, x, Vf{});
#endif
}
ONEFOLD_INLINE Vd where_bits(Vd x, int64_t bits) {
    return select(((IVec<double>)x & bits) != 0, x, Vd{});
}
#endif

// a < b ? a : b and a > b ? a : b: b where one is NaN or both are zero, as x86 has them.
template <class V>
ONEFOLD_INLINE V smaller(V a, V b) {
    return a < b ? a : b;
}
template <class V>
ONEFOLD_INLINE V larger(V a, V b) {
    return a > b ? a : b;
}
#if ONEFOLD_VECTOR_BYTES == 64
ONEFOLD_INLINE Vf smaller(Vf a, Vf b) {
    return (Vf)_mm512_min_ps((__m512)a, (__m512)b);
}
ONEFOLD_INLINE Vf larger(Vf a, Vf b) {
    return (Vf)_mm512_max_ps((__m512)a, (__m512)b);
}
#elif ONEFOLD_VECTOR_BYTES == 32
ONEFOLD_INLINE Vf smaller(Vf a, Vf b) {
    return (Vf)_mm256_min_ps((__m256)a, (__m256)b);
}
ONEFOLD_INLINE Vf larger(Vf a, Vf b) {
    return (Vf)_mm256_max_ps((__m256)a, (__m256)b);
}
#endif

// Lane from[i] of the 2 * lanes<T> lanes of a and b in lane i.
template <class T>
ONEFOLD_INLINE Vec<T> shuffle(Vec<T> a, Vec<T> b, IVec<T> from) {
#if defined(__clang__)
    Vec<T> r;
    for (int i = 0; i < lanes<T>; ++i) r[i] = from[i] < lanes<T> ? a[from[i]] : b[from[i] - lanes<T>];
    return r;
#else
    return __builtin_shuffle(a, b, from);
#endif
}

#if ONEFOLD_VECTOR_BYTES == 64
ONEFOLD_INLINE Vf fma(Vf a, Vf b, Vf c) {
    return (Vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
ONEFOLD_INLINE Vd fma(Vd a, Vd b, Vd c) {
    return (Vd)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
ONEFOLD_INLINE uint64_t clock_ticks() {
    return __rdtsc();
}
#elif ONEFOLD_VECTOR_BYTES == 32
ONEFOLD_INLINE Vf fma(Vf a, Vf b, Vf c) {
    return (Vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
ONEFOLD_INLINE Vd fma(Vd a, Vd b, Vd c) {
    return (Vd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#elif defined(ONEFOLD_NEON)
ONEFOLD_INLINE Vf fma(Vf a, Vf b, Vf c) {
    return (Vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
ONEFOLD_INLINE Vd fma(Vd a, Vd b, Vd c) {
    return (Vd)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
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
#endif

// sum = fma(a, b, sum). With AVX2 in the two-operand form that lets the sum stay in its register:
// left alone, GCC 12 moves sums about in unrolled loops that use all 16 registers.
#if ONEFOLD_VECTOR_BYTES == 32
ONEFOLD_INLINE void accumulate(Vf& sum, Vf a, Vf b) {
    asm("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
}
ONEFOLD_INLINE void accumulate(Vd& sum, Vd a, Vd b) {
    asm("vfmadd231pd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
}
#else
template <class V>
ONEFOLD_INLINE void accumulate(V& sum, V a, V b) {
    sum = fma(a, b, sum);
}
#endif

// The value as it is, of which the compiler no longer knows where it came from: an address stays one
// register plus an offset instead of becoming a register of its own for every step of an unrolled loop.
template <class V>
ONEFOLD_INLINE void forget_origin(V& value) {
    asm("" : "+r"(value));
}

// Products of 32-bit lanes with a factor: the low and the high halves of 64 bits.
typedef uint32_t Words __attribute__((vector_size(ONEFOLD_VECTOR_BYTES)));
inline constexpr int kWords = ONEFOLD_VECTOR_BYTES / 4;

ONEFOLD_INLINE void multiply_wide(Words a, uint32_t factor, Words& high, Words& low) {
#if ONEFOLD_VECTOR_BYTES == 64
    const __m512i x = (__m512i)a, f = _mm512_set1_epi32(int(factor));
    const __m512i even = _mm512_mul_epu32(x, f), odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), f);
    high = (Words)_mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    low = (Words)_mm512_mask_shuffle_epi32(even, 0xaaaa, odd, _MM_PERM_CCAA);
#elif ONEFOLD_VECTOR_BYTES == 32
    const __m256i x = (__m256i)a, f = _mm256_set1_epi32(int(factor));
    const __m256i even = _mm256_mul_epu32(x, f), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), f);
    high = (Words)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    low = (Words)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
#else
    for (int i = 0; i < kWords; ++i) {
        const uint64_t product = uint64_t(a[i]) * factor;
        high[i] = uint32_t(product >> 32);
        low[i] = uint32_t(product);
    }
#endif
}

// Scalars, in the same words, for code that is written once for both.
ONEFOLD_INLINE float fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
ONEFOLD_INLINE double fma(double a, double b, double c) {
    return __builtin_fma(a, b, c);
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
// Whether every |x| is at most `limit`: false with a NaN.
template <class T>
ONEFOLD_INLINE bool all_within(Vec<T> x, T limit) {
    const Vec<T> size = abs(x);
#if ONEFOLD_VECTOR_BYTES == 64
    if constexpr (sizeof(T) == 4)
        return _mm512_cmp_ps_mask((__m512)size, _mm512_set1_ps(limit), _CMP_NLE_UQ) == 0;
    else
        return _mm512_cmp_pd_mask((__m512d)size, _mm512_set1_pd(limit), _CMP_NLE_UQ) == 0;
#elif ONEFOLD_VECTOR_BYTES == 32
    const __m256i beyond = ~(__m256i)(size <= limit);
    return _mm256_testz_si256(beyond, beyond) != 0;
#else
    const IVec<T> within = size <= limit;
    typename VectorOf<T>::integer all = -1;
    for (int i = 0; i < lanes<T>; ++i) all &= within[i];
    return all != 0;
#endif
}

// Sixteen interleaved accumulators: element c of a row belongs to lane c mod 16, each lane is one
// chain over ascending c, and fold() joins the lanes by one fixed tree: lane i with lane i + 8, then
// i + 4, i + 2, i + 1. Lanes beyond the row's end are left as they are.
template <class T>
struct Lanes16 {
    static constexpr int parts = kReductionLanes / lanes<T>;
    Vec<T> part[parts];

    ONEFOLD_INLINE Lanes16 filled(T x) {
        Lanes16 r;
        for (int i = 0; i < parts; ++i) r.part[i] = broadcast_bits(x);
        return r;
    }

    // Lane i + by in lane i.
    template <int by>
    ONEFOLD_INLINE Vec<T> shifted(Vec<T> v) {
        using I = typename VectorOf<T>::integer;
        IVec<T> from;
#pragma GCC unroll 16
        for (int i = 0; i < lanes<T>; ++i) from[i] = I((i + by) % lanes<T>);
        return shuffle<T>(v, v, from);
    }

    template <class Join>
    ONEFOLD_INLINE T fold(Lanes16 a, Join join) {
        for (int half = parts / 2; half > 0; half /= 2)
            for (int i = 0; i < half; ++i) a.part[i] = join(a.part[i], a.part[i + half]);
        Vec<T> v = a.part[0];
        if constexpr (lanes<T> > 8) v = join(v, shifted<8>(v));
        if constexpr (lanes<T> > 4) v = join(v, shifted<4>(v));
        if constexpr (lanes<T> > 2) v = join(v, shifted<2>(v));
        v = join(v, shifted<1>(v));
        return v[0];
    }
    ONEFOLD_INLINE T total(const Lanes16& a) {
        return fold(a, [](Vec<T> x, Vec<T> y) __attribute__((always_inline)) { return x + y; });
    }
};

}  // namespace onefold::ONEFOLD_LEVEL
