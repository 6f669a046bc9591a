// Linear layers with up to four outputs, or as many columns left over beyond whole vectors (forward: pairs of
// vectors), where a vector of columns would be mostly padding.
//
//   forward          vectors run along the rows: x is turned in registers
//   weight gradient  vectors run along the inputs
//
// Shapes, layout and chains are those of linear.hpp, step for step, and so are the bits.
// Cost: rows * in * out / lanes multiply-adds, and in the forward direction some two shuffles and three
// insertions for each vector of x (float32 with AVX-512), instead of rows * in multiply-adds for any number
// of outputs up to a vector's.
//
// Whole matrices of few outputs, updates on a Zen 4 core: 13-100-1 at 64 rows 11.8 -> 9.0 us, 8-1 at 1,000
// rows 18.0 -> 10.5 us (half of it by the gather and the loss), 20-64-64-2 at 32 rows 17.4 -> 16.4 us. On a
// Granite Rapids core, AVX-512 and in brackets AVX2: groups of rows that take turns, forward, 64 rows, 100-1
// 542 -> 462 ns (759 -> 470), 100-4 814 -> 680 (960 -> 967); columns left over, forward, 72 rows, 129-65 7.3
// -> 6.4 us (12.3 -> 11.2), gradient, 1,400 rows, 200-100 331 -> 287 us (566 -> 556). Updates are so many
// times as fast with all that and few_inputs.hpp: 13-100-1 1.09 (1.12), 257-129-65-33-17-5 at 100 rows 1.03
// (1.02), 33-77-51-3 at 50 1.02 (1.02).
// Gradients with as many inputs at a time as registers hold, instead of four vectors or one: 64 rows, 100-1
// 367 -> 245 ns (540 -> 372), of columns left over 500 rows, 200-100 (180 -> 172 us), 128 rows, 33-65 2.99 ->
// 2.78 us; updates 13-100-1 1.02 (1.02), 257-129-65-33-17-5 1.03 (1.02), 50-200-100-10 at 10,000 1.01 (1.02).
// Lost: four groups with AVX-512 (602 ns for 100-1); left-over columns forward where a tile of two vectors
// would have had room for them (50 rows, 77-51 0.88 times as fast).
#pragma once

namespace onefold::ONEFOLD_LEVEL {

inline constexpr int kNarrow = 4;
// With fewer rows filling vectors along them, or turning what they hold, costs more than it saves.
inline constexpr int64_t kNarrowRows = 8;

// Calls f with a number of columns of W or of x, 1 to kNarrow, as a type.
template <int N>
struct Columns {};
template <class F>
ONEFOLD_INLINE void with_columns(int64_t columns, F f) {
    if (columns == 1) f(Columns<1>{});
    if (columns == 2) f(Columns<2>{});
    if (columns == 3) f(Columns<3>{});
    if (columns == 4) f(Columns<4>{});
}

// One step of the transposition of a square, `lanes` vectors: in every pair of rows `Step` apart, the blocks
// of `Step` lanes off the diagonal change places.
template <class T, int Step = 1>
ONEFOLD_INLINE void turn(Vec<T>* row) {
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

// Of `lanes` rows the first 16 bytes, turned: lane r of vector c holds column c of row r. Vector r begins as
// those of rows r, r + kHeadColumns, r + 2 * kHeadColumns, ..., so that whatever changes places stays within
// 16 bytes, where shuffles are cheapest.
template <class T>
inline constexpr int kHeadColumns = 16 / int(sizeof(T));
template <class T>
ONEFOLD_INLINE void load_turned(Vec<T> (&column)[kHeadColumns<T>], const T* from, int64_t stride) {
    constexpr int half = kHeadColumns<T> / 2;
#pragma GCC unroll 4
    for (int r = 0; r < kHeadColumns<T>; ++r)
        column[r] = load_heads(from + r * stride, kHeadColumns<T> * stride);
    IVec<T> low, high;
#pragma GCC unroll 16
    for (int i = 0; i < lanes<T>; ++i) {
        low[i] = i % 2 * lanes<T> + i / kHeadColumns<T> * kHeadColumns<T> + i % kHeadColumns<T> / 2;
        high[i] = low[i] + half;
    }
    // Stage by stage rows r and r + half are dealt out like the halves of a deck.
#pragma GCC unroll 2
    for (int stage = 1; stage < kHeadColumns<T>; stage *= 2) {
        Vec<T> dealt[kHeadColumns<T>];
#pragma GCC unroll 2
        for (int r = 0; r < half; ++r) {
            dealt[2 * r] = shuffle<T>(column[r], column[r + half], low);
            dealt[2 * r + 1] = shuffle<T>(column[r], column[r + half], high);
        }
#pragma GCC unroll 4
        for (int r = 0; r < kHeadColumns<T>; ++r) column[r] = dealt[r];
    }
}

// What becomes of `rows` rows, whose sums stand in the lanes of N vectors.
template <class T, int N>
ONEFOLD_INLINE void narrow_finish(const Call& call, Finish finish, Vec<T> (&sum)[N], int64_t first,
                                  int64_t rows) {
    constexpr int L = lanes<T>;
    const auto& [z, x, W, b, y] = reinterpret_cast<const Operand(&)[5]>(call.operand);
    alignas(64) T out[N * L];
#pragma GCC unroll 4
    for (int j = 0; j < N; ++j)
        store(out + j * L, finish == Finish::relu ? larger(zero<T>(), sum[j]) : sum[j]);
    const int64_t z_row = z.stride, gate_row = y.stride;
    T* to = static_cast<T*>(z.data) + first * z_row;
    const T* gate = finish == Finish::gated ? static_cast<const T*>(y.data) + first * gate_row : nullptr;
    for (int64_t r = 0; r < rows; ++r, to += z_row) {
        store(to, Vec<T>{});
#pragma GCC unroll 4
        for (int j = 0; j < N; ++j)
            to[j] = gate == nullptr || gate[r * gate_row + j] > T(0) ? out[j * L + r] : T(0);
    }
}

// z = x W + b, `lanes` rows at a time; b may be absent. Several such groups take turns, because a step waits
// for the one before it in its chain.
template <class T, int N, int Groups>
ONEFOLD_INLINE void narrow_groups(const Call& call, Finish finish, int64_t first) {
    constexpr int L = lanes<T>;
    const auto& [z, x, W, b] = reinterpret_cast<const Operand(&)[4]>(call.operand);
    const T* weight = static_cast<const T*>(W.data);
    const int64_t in = W.stride;
    Vec<T> sum[Groups][N];
#pragma GCC unroll 4
    for (int g = 0; g < Groups; ++g)
#pragma GCC unroll 4
        for (int j = 0; j < N; ++j)
            sum[g][j] = b.data ? broadcast_bits(static_cast<const T*>(b.data)[j]) : Vec<T>{};
    int64_t k = 0;
    for (; k + kHeadColumns<T> <= in; k += kHeadColumns<T>)
#pragma GCC unroll 4
        for (int g = 0; g < Groups; ++g) {
            Vec<T> column[kHeadColumns<T>];
            load_turned<T>(column, row_of<const T>(x, first + g * L) + k, x.stride);
#pragma GCC unroll 4
            for (int s = 0; s < kHeadColumns<T>; ++s)
#pragma GCC unroll 4
                for (int j = 0; j < N; ++j)
                    sum[g][j] = fma(column[s], broadcast_bits(weight[(k + s) * kPanel + j]), sum[g][j]);
        }
    for (; k < in; ++k)
#pragma GCC unroll 4
        for (int g = 0; g < Groups; ++g) {
            const Vec<T> column = load_apart(row_of<const T>(x, first + g * L) + k, x.stride, L);
#pragma GCC unroll 4
            for (int j = 0; j < N; ++j)
                sum[g][j] = fma(column, broadcast_bits(weight[k * kPanel + j]), sum[g][j]);
        }
#pragma GCC unroll 4
    for (int g = 0; g < Groups; ++g) narrow_finish<T, N>(call, finish, sum[g], first + g * L, L);
}

// The same for fewer rows than a vector has lanes.
template <class T, int N>
ONEFOLD_INLINE void narrow_rest(const Call& call, Finish finish, int64_t first, int64_t rows) {
    constexpr int L = lanes<T>;
    const auto& [z, x, W, b] = reinterpret_cast<const Operand(&)[4]>(call.operand);
    Vec<T> sum[N];
    for (int j = 0; j < N; ++j) sum[j] = b.data ? broadcast_bits(static_cast<const T*>(b.data)[j]) : Vec<T>{};
    for (int64_t k = 0; k < W.stride; k += L) {
        const int64_t count = W.stride - k < L ? W.stride - k : L;
        Vec<T> square[L];
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r)
            square[r] = load_part((row_of<const T>(x, first + (r < rows ? r : 0)) + k), count);
        turn<T>(square);
        alignas(64) T turned[L * L];
#pragma GCC unroll 16
        for (int s = 0; s < L; ++s) store(turned + s * L, square[s]);
        const T* weight = static_cast<const T*>(W.data) + k * kPanel;
        for (int64_t s = 0; s < count; ++s)
#pragma GCC unroll 4
            for (int j = 0; j < N; ++j)
                sum[j] = fma(load(turned + s * L), broadcast_bits(weight[s * kPanel + j]), sum[j]);
    }
    narrow_finish<T, N>(call, finish, sum, first, rows);
}

template <class T, int N>
[[gnu::noinline]] static void narrow_forward(const Call& call, Finish finish) {
    constexpr int L = lanes<T>, groups = N > 2 || L > 8 ? 2 : 4;
    int64_t first = 0;
    for (; first + groups * L <= call.rows; first += groups * L)
        narrow_groups<T, N, groups>(call, finish, first);
    for (; first + L <= call.rows; first += L) narrow_groups<T, N, 1>(call, finish, first);
    if (first < call.rows) narrow_rest<T, N>(call, finish, first, call.rows - first);
}

// Vectors of inputs whose sums, with what they are made of, fit into the registers: as many chains as that
// are, because a step waits for the one before it.
template <int N>
inline constexpr int kVectorsBeside = N == 1 ? 8 : (kTileRows > 6 ? 26 : 14) / (N + 1);

// The sums of N columns of dz times those of x from column i on: so many vectors, the last of which has
// `last` lanes. What they begin with is in `held`, and so is what they come to.
template <class T, int N, int Vectors>
ONEFOLD_INLINE void narrow_sums(const Call& call, int64_t i, int64_t last,
                                T (&held)[N][kVectorsBeside<N> * lanes<T>]) {
    constexpr int L = lanes<T>;
    const auto& [G, x, dz] = reinterpret_cast<const Operand(&)[3]>(call.operand);
    Vec<T> sum[N][Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < N; ++j)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) sum[j][v] = load(held[j] + v * L);
    const T* from[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) from[v] = row_of<const T>(x, 0) + (i + v * L);
    const T* slope = static_cast<const T*>(dz.data);
    for (int64_t r = 0; r < call.rows; ++r, slope += dz.stride) {
        Vec<T> left[Vectors];
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v)
            left[v] = v < Vectors - 1 || last == L ? load(from[v] + r * x.stride)
                                                   : load_part(from[v] + r * x.stride, last);
#pragma GCC unroll 4
        for (int j = 0; j < N; ++j) {
            const Vec<T> right = broadcast_bits(slope[j]);
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) sum[j][v] = fma(left[v], right, sum[j][v]);
        }
    }
#pragma GCC unroll 4
    for (int j = 0; j < N; ++j)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) store(held[j] + v * L, sum[j][v]);
}

template <class T, int N, int Vectors = kVectorsBeside<N>>
ONEFOLD_INLINE void narrow_vectors(int64_t vectors, const Call& call, int64_t i, int64_t last,
                                   T (&held)[N][kVectorsBeside<N> * lanes<T>]) {
    if constexpr (Vectors > 1)
        if (vectors < Vectors) return narrow_vectors<T, N, Vectors - 1>(vectors, call, i, last, held);
    narrow_sums<T, N, Vectors>(call, i, last, held);
}

// Panel rows [begin, end) of G, which is a single panel or its last `room` columns; `begin` is a multiple of
// 32. Columns beyond the last one stay zero. The rows go in passes as even as they can be.
template <class T, int N>
[[gnu::noinline]] static void narrow_gradient(const Call& call, int64_t room) {
    constexpr int L = lanes<T>, most = kVectorsBeside<N>;
    for (int64_t i = call.begin; i < call.end;) {
        const int64_t left = (call.end - i + L - 1) / L, passes = (left + most - 1) / most;
        const int64_t vectors = (left + passes - 1) / passes;
        const int64_t count = call.end - i < vectors * L ? call.end - i : vectors * L;
        T* to = static_cast<T*>(call.operand[0].data) + i * kPanel;
        alignas(64) T held[N][most * L] = {};
        if (call.resume)
            for (int64_t c = 0; c < count; ++c)
                for (int j = 0; j < N; ++j) held[j][c] = to[c * kPanel + j];
        narrow_vectors<T, N>(vectors, call, i, count - (vectors - 1) * L, held);
        for (int64_t c = 0; c < count; ++c) {
            if (!call.resume)
                for (int p = 0; p < room; p += L) store(to + c * kPanel + p, Vec<T>{});
            for (int j = 0; j < N; ++j) to[c * kPanel + j] = held[j][c];
        }
        i += count;
    }
}

}  // namespace onefold::ONEFOLD_LEVEL
