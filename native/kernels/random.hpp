// Philox 4x32-10 (Salmon et al. 2011): random numbers that are indexed, not consumed.
//
// Key: the 64-bit seed. Counter: (c0, row, update or epoch, purpose << 24 | layer). Column c of a row has
// c0 = (c / 64) * 16 + c % 16 and word (c % 64) / 16 of that counter's four, so that sixteen counters
// computed side by side give 64 columns one after another. Integers only: exact everywhere.
//
// Dropout of 64 columns on a Granite Rapids core: 89 cycles instead of 170, with the numbers of lanes as one
// constant, halves of products joined by masked shuffles, and the mask applied a vector at a time; an update
// of 100-256-256-10 at 256 rows with dropout after both hidden layers 496 instead of 556 us (431 without).
// Lost: the same for two rows side by side (79 cycles, updates 0.99 to 1.00 of the time; with AVX2 194
// instead of 184); keys as vectors that are added to (92).
#pragma once

namespace onefold::ONEFOLD_LEVEL {

enum Purpose : uint32_t { kInitialWeights = 1, kOrder = 2, kDropout = 3, kSplit = 4 };

inline constexpr int kPhiloxColumns = 64;

// words[w * 16 + i]: word w of the counter (first + i, row, update, purpose_layer).
ONEFOLD_INLINE void philox64(uint64_t seed, uint32_t first, uint32_t row, uint32_t update,
                             uint32_t purpose_layer, uint32_t* words) {
    constexpr int parts = 16 / kWords;
    Words a[parts], b[parts], c[parts], d[parts], lane_numbers;
    for (int lane = 0; lane < kWords; ++lane) lane_numbers[lane] = uint32_t(lane);
    for (int i = 0; i < parts; ++i) {
        a[i] = lane_numbers + (first + uint32_t(i * kWords));
        b[i] = Words{} + row;
        c[i] = Words{} + update;
        d[i] = Words{} + purpose_layer;
    }
    Words key0 = Words{} + uint32_t(seed), key1 = Words{} + uint32_t(seed >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 4
        for (int i = 0; i < parts; ++i) {
            Words p_high, p_low, q_high, q_low;
            multiply_wide(a[i], 0xD2511F53u, p_high, p_low);
            multiply_wide(c[i], 0xCD9E8D57u, q_high, q_low);
            a[i] = q_high ^ b[i] ^ key0;
            c[i] = p_high ^ d[i] ^ key1;
            b[i] = q_low;
            d[i] = p_low;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    memcpy(words, a, sizeof a);
    memcpy(words + 16, b, sizeof b);
    memcpy(words + 32, c, sizeof c);
    memcpy(words + 48, d, sizeof d);
}

// Operand 0: uint32 (rows, width). Numbers: purpose, layer.
template <class T>
static void random_words(const Call& call) {
    const uint32_t key = uint32_t(call.numbers[0]) << 24 | uint32_t(call.numbers[1]);
    const int64_t width = call.operand[0].width;
    for (int64_t r = 0; r < call.rows; ++r) {
        uint32_t* out = data<uint32_t>(call, 0) + r * call.operand[0].stride;
        for (int64_t c = 0; c < width; c += kPhiloxColumns) {
            uint32_t words[kPhiloxColumns];
            philox64(call.seed, uint32_t(c / 4), uint32_t(call.first_row + r), call.update, key, words);
            const int64_t count = width - c < kPhiloxColumns ? width - c : kPhiloxColumns;
            memcpy(out + c, words, size_t(count) * sizeof(uint32_t));
        }
    }
}

// Operand 0: uint32 (1, n), filled with an order of 0 .. n-1 by Fisher and Yates from the end; place i
// swaps with the high half of (64 random bits) * (i + 1). The bits of place i are the words of column
// 2 i and 2 i + 1 of row 0. The bias of that product is below n / 2^64. Numbers: purpose.
template <class T>
static void permutation(const Call& call) {
    uint32_t* order = data<uint32_t>(call, 0);
    const int64_t n = call.operand[0].width;
    for (int64_t i = 0; i < n; ++i) order[i] = uint32_t(i);
    uint32_t words[kPhiloxColumns];
    int64_t block = -1;
    for (int64_t i = n - 1; i > 0; --i) {
        if (2 * i / kPhiloxColumns != block) {
            block = 2 * i / kPhiloxColumns;
            philox64(call.seed, uint32_t(block * 16), 0, call.update, uint32_t(call.numbers[0]) << 24, words);
        }
        const int64_t at = 2 * i % kPhiloxColumns;
        const uint64_t bits = uint64_t(words[at]) << 32 | words[at + 1];
        const int64_t j = int64_t(uint64_t((unsigned __int128)bits * uint64_t(i + 1) >> 64));
        const uint32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

// `x` where a word is at least the threshold, else zero.
template <class T>
ONEFOLD_INLINE Vec<T> where_kept(const uint32_t* words, uint32_t threshold, Vec<T> x) {
    typedef uint32_t Drawn __attribute__((vector_size(lanes<T> * sizeof(uint32_t))));
    Drawn drawn;
    memcpy(&drawn, words, sizeof drawn);
    return select(__builtin_convertvector(drawn >= threshold, IVec<T>), x, zero<T>());
}

// Inverted dropout: y = x * keep[r, c] / (1 - rate); keep when the element's word is at least rate * 2^32.
// The mask of row r is that of position call.first_row + r of the batch, so it does not depend on how
// the batch is cut; the backward pass draws it again instead of keeping it.
// Operands: y, x (backward: dx, dy), in place or not. Numbers: rate, layer. Writes by `=`.
// Row buffers must be readable and writable up to a multiple of 16 columns.
template <class T>
static void dropout_forward(const Call& call) {
    const double rate = call.numbers[0];
    const uint32_t threshold = uint32_t(rate * 4294967296.0);
    const Vec<T> scale = broadcast(T(1 / (1 - rate)));
    const uint32_t key = uint32_t(kDropout) << 24 | uint32_t(call.numbers[1]);
    const int64_t width = call.operand[0].width;
    for (int64_t r = 0; r < call.rows; ++r) {
        const Row<T> y = row_of<T>(call.operand[0], r);
        const Row<const T> x = row_of<const T>(call.operand[1], r);
        for (int64_t first = 0; first < width; first += kPhiloxColumns) {
            uint32_t words[kPhiloxColumns];
            philox64(call.seed, uint32_t(first / 4), uint32_t(call.first_row + r), call.update, key, words);
            const int64_t end = width - first < kPhiloxColumns ? width : first + kPhiloxColumns;
            for (int64_t c = first; c < end; c += lanes<T>)
                store(y + c, where_kept<T>(words + (c - first), threshold, load(x + c) * scale));
        }
    }
}

template <class T>
static void dropout_backward(const Call& call) {
    dropout_forward<T>(call);
}

#define ONEFOLD_RANDOM_KERNELS(X) X(random_words) X(permutation) X(dropout_forward) X(dropout_backward)

}  // namespace onefold::ONEFOLD_LEVEL
