// The square root of AVX-512: the instruction's, bit by bit, whatever estimate the processor makes.
#define ONEFOLD_LEVEL avx512
#define ONEFOLD_VECTOR_BYTES 64
#include "square_root.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace {

using namespace onefold::avx512;

__m512 floats(uint32_t first) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return (__m512)_mm512_add_epi32(_mm512_set1_epi32(int32_t(first)), lane);
}

uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

void check(__m512 found, __m512 x) {
    const __m512 wanted = _mm512_sqrt_ps(x);
    if (_mm512_cmpneq_epi32_mask((__m512i)found, (__m512i)wanted) == 0) return;
    float values[3][16];
    memcpy(values[0], &x, sizeof x);
    memcpy(values[1], &found, sizeof x);
    memcpy(values[2], &wanted, sizeof x);
    for (int i = 0; i < 16; ++i)
        if (bits_of(values[1][i]) != bits_of(values[2][i]))
            std::fprintf(stderr, "sqrt(%a) gave %a instead of %a\n", double(values[0][i]),
                         double(values[1][i]), double(values[2][i]));
    std::exit(1);
}

// Every value of [1, 4) with every estimate of its reciprocal root within 2^-14, and some beyond.
void from_every_estimate() {
    for (uint32_t bits = bits_of(1); bits < bits_of(4); ++bits) {
        float x;
        memcpy(&x, &bits, sizeof x);
        const double exact = 1 / std::sqrt(double(x)), bound = 1.01 / 16384;
        const uint32_t last = bits_of(float(exact * (1 + bound)));
        const __m512 value = _mm512_set1_ps(x), wanted = _mm512_sqrt_ps(value);
        __mmask16 wrong = 0;
        for (uint32_t estimate = bits_of(float(exact * (1 - bound))); estimate <= last; estimate += 16)
            wrong |= _mm512_cmpneq_epi32_mask((__m512i)square_root(value, floats(estimate)), (__m512i)wanted);
        if (wrong != 0) {
            std::fprintf(stderr, "sqrt(%a) depends on the estimate\n", double(x));
            std::exit(1);
        }
    }
}

// Every float there is: as they stand, and with zeros among them.
void every_value() {
    for (uint64_t bits = 0; bits < uint64_t(1) << 32; bits += 16) {
        const __m512 x = floats(uint32_t(bits));
        check((__m512)sqrt((Vf)x), x);
        if (bits % 4096 != 0) continue;
        const __m512 gaps = _mm512_maskz_mov_ps(0x5a93, x);
        check((__m512)sqrt((Vf)gaps), gaps);
    }
}

}  // namespace

void test_square_roots() {
    roots_from_products = true;
    from_every_estimate();
    every_value();
}
