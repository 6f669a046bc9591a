// Linear layers with up to four outputs, where a vector of columns would be mostly padding.
//
//   forward          vectors run along the rows: squares of x are turned in registers
//   weight gradient  vectors run along the inputs
//
// Shapes, layout and chains are those of linear.hpp, step for step, and so are the bits.
// Cost: rows * in * out / lanes multiply-adds, and in the forward direction four shuffles for each
// vector of x, instead of rows * in multiply-adds for any number of outputs up to a vector's.
// Measured on a Zen 4 core: an update of 13-100-1 at 64 rows 11.8 -> 9.0 us, of 8-1 at 1,000 rows
// 18.0 -> 10.5 us (half of it by the gather and the loss), of 20-64-64-2 at 32 rows 17.4 -> 16.4 us.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

inline constexpr int kNarrow = 4;
// With fewer rows turning squares costs more than it saves.
inline constexpr int64_t kNarrowRows = 8;

// Calls f with the number of outputs, 1 to kNarrow, as a type.
template <int N>
struct Outputs {};
template <class F>
ONEFOLD_INLINE void with_outputs(int64_t outputs, F f) {
    if (outputs == 1) f(Outputs<1>{});
    if (outputs == 2) f(Outputs<2>{});
    if (outputs == 3) f(Outputs<3>{});
    if (outputs == 4) f(Outputs<4>{});
}

// One step of a square's transposition: in every pair of rows `Step` apart, the blocks of `Step`
// lanes off the diagonal change places.
template <class T, int Step = 1>
ONEFOLD_INLINE void turn(Vec<T> (&row)[lanes<T>]) {
    IVec<T> upper, lower;
#pragma GCC unroll 16
    for (int i = 0; i < lanes<T>; ++i) {
        upper[i] = i & Step ? lanes<T> + i - Step : i;
        lower[i] = i & Step ? lanes<T> + i : i + Step;
    }
#pragma GCC unroll 16
    for (int r = 0; r < lanes<T>; ++r) {
        if (r & Step) continue;
        const Vec<T> a = row[r], b = row[r + Step];
        row[r] = shuffle<T>(a, b, upper);
        row[r + Step] = shuffle<T>(a, b, lower);
    }
    if constexpr (2 * Step < lanes<T>) turn<T, 2 * Step>(row);
}

// z = x W + b, `lanes` rows at a time; b may be absent.
template <class T, int N>
[[gnu::noinline]] static void narrow_forward(const Call& call) {
    constexpr int L = lanes<T>;
    const auto& [z, x, W, b] = reinterpret_cast<const Operand(&)[4]>(call.operand);
    const T* weight = static_cast<const T*>(W.data);
    const T* bias = static_cast<const T*>(b.data);
    const int64_t in = W.stride;
    for (int64_t first = 0; first < call.rows; first += L) {
        const int64_t rows = call.rows - first < L ? call.rows - first : L;
        Vec<T> sum[N];
        for (int j = 0; j < N; ++j) sum[j] = bias ? broadcast_bits(bias[j]) : Vec<T>{};
        Vec<T> square[L];
        int64_t k = 0;
        for (; k + L <= in; k += L) {
            const T* from = row_of<const T>(x, first) + k;
#pragma GCC unroll 16
            for (int r = 0; r < L; ++r) square[r] = load(from + (r < rows ? r : 0) * x.stride);
            turn<T>(square);
#pragma GCC unroll 16
            for (int s = 0; s < L; ++s)
#pragma GCC unroll 4
                for (int j = 0; j < N; ++j)
                    sum[j] = fma(square[s], broadcast_bits(weight[(k + s) * kPanel + j]), sum[j]);
        }
        if (k < in) {
            const T* from = row_of<const T>(x, first) + k;
#pragma GCC unroll 16
            for (int r = 0; r < L; ++r) square[r] = load_part(from + (r < rows ? r : 0) * x.stride, in - k);
            turn<T>(square);
            alignas(64) T turned[L * L];
#pragma GCC unroll 16
            for (int s = 0; s < L; ++s) store(turned + s * L, square[s]);
            for (int64_t s = 0; k + s < in; ++s)
#pragma GCC unroll 4
                for (int j = 0; j < N; ++j)
                    sum[j] = fma(load(turned + s * L), broadcast_bits(weight[(k + s) * kPanel + j]), sum[j]);
        }
        alignas(64) T out[N * L];
        for (int j = 0; j < N; ++j) store(out + j * L, sum[j]);
        for (int64_t r = 0; r < rows; ++r) {
            T* to = static_cast<T*>(z.data) + (first + r) * z.stride;
            store(to, Vec<T>{});
#pragma GCC unroll 4
            for (int j = 0; j < N; ++j) to[j] = out[j * L + r];
        }
    }
}

// Rows [i, i + count) of G, `Vectors` vectors of inputs at a time.
template <class T, int N, int Vectors>
ONEFOLD_INLINE void narrow_columns(const Call& call, int64_t i, int64_t count) {
    constexpr int L = lanes<T>;
    const auto& [G, x, dz] = reinterpret_cast<const Operand(&)[3]>(call.operand);
    T* to = static_cast<T*>(G.data) + i * kPanel;
    alignas(64) T held[N][Vectors * L] = {};
    if (call.resume)
        for (int64_t c = 0; c < count; ++c)
            for (int j = 0; j < N; ++j) held[j][c] = to[c * kPanel + j];
    Vec<T> sum[N][Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < N; ++j)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) sum[j][v] = load(held[j] + v * L);
    const T* from[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) from[v] = row_of<const T>(x, 0) + (i + v * L);
    const T* slope = static_cast<const T*>(dz.data);
    const int64_t last = count - (Vectors - 1) * L;
    for (int64_t r = 0; r < call.rows; ++r, slope += dz.stride) {
        Vec<T> left[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v)
            left[v] = v < Vectors - 1 || last == L ? load(from[v] + r * x.stride)
                                                   : load_part(from[v] + r * x.stride, last);
#pragma GCC unroll 4
        for (int j = 0; j < N; ++j) {
            const Vec<T> right = broadcast_bits(slope[j]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) sum[j][v] = fma(left[v], right, sum[j][v]);
        }
    }
#pragma GCC unroll 4
    for (int j = 0; j < N; ++j)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) store(held[j] + v * L, sum[j][v]);
    for (int64_t c = 0; c < count; ++c) {
        if (!call.resume)
            for (int p = 0; p < kPanel; p += L) store(to + c * kPanel + p, Vec<T>{});
        for (int j = 0; j < N; ++j) to[c * kPanel + j] = held[j][c];
    }
}

// Panel rows [begin, end) of G, which is a single panel; `begin` is a multiple of 32. Columns beyond the last
// one stay zero.
template <class T, int N>
[[gnu::noinline]] static void narrow_gradient(const Call& call) {
    constexpr int L = lanes<T>;
    int64_t i = call.begin;
    for (; i + 3 * L < call.end; i += 4 * L)
        narrow_columns<T, N, 4>(call, i, call.end - i < 4 * L ? call.end - i : 4 * L);
    for (; i < call.end; i += L) narrow_columns<T, N, 1>(call, i, call.end - i < L ? call.end - i : L);
}

}  // namespace onefold::ONEFOLD_LEVEL
