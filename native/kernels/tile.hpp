// The register tile of the products in linear.hpp, whose head has its measurements: R rows of A against C
// vectors of B, the accumulators loaded first, an outer product for each step of the chain.
//
// With AVX-512 a tile is 6 rows by 4 vectors (two panels of float32) where so many columns are left, else 12
// by 2. Both have 24 accumulators; a step of the first reads 10 numbers or vectors, of the second 14, and the
// first asks for less ahead. That counts where the clock is as fast as the power allows: on a Granite Rapids
// core multiply-adds in registers run at 3.7 GHz, and at 3.3 beside 14 loads for 24 of them. GFLOP/s of 12 by
// 2 and 6 by 4 there: forward, 72 rows, 256-256 186 and 196, 1024-1024 186 and 199; gradient of 192 rows,
// 192-128 175 and 188, of 1,024, 1024-1024 174 and 178. Updates on two cores are so many times as fast:
// 784-1024-1024-1024-10 at 1,024 rows 1.07, 784-512-512-10 at 128 1.08, 100-256-256-10 at 256 1.05,
// 5000-64-10 at 256 1.08, 50-200-100-10 at 10,000 1.01 to 1.06, 257-129-65-33-17-5 at 100 1.02, 20-64-64-2 at
// 32 1.00 to 1.03. Lost: 7 rows by 4 vectors, for which the registers do not suffice (0.88 times as fast as
// 6); blocks of gradients of 96, 128, 256, 384 rows instead of 192 (0.99 to 1.01).
//
// Every function begins a cache line (CMakeLists.txt). Before, whatever changed in other kernels moved these:
// a change elsewhere had made 784-512-512-10 at 128 rows 2 % slower, with AVX2 too. The same code with and
// without, updates on two Granite Rapids cores: 0.97 to 1.04 times as fast, most 1.00 to 1.03; with AVX2 0.99
// to 1.03. Lost: loops that begin so too (AVX2 0.95 to 1.00).
#pragma once

namespace onefold::ONEFOLD_LEVEL {

// Rows of the register tile: what 32 (AVX-512, NEON) or 16 vector registers hold with two vectors a row.
#if ONEFOLD_VECTOR_BYTES == 64 || defined(ONEFOLD_NEON)
inline constexpr int kTileRows = 12;
#else
inline constexpr int kTileRows = 6;
#endif

// Vectors of the widest tile, which has half the rows.
#if ONEFOLD_VECTOR_BYTES == 64
inline constexpr int kWidest = 4;
#else
inline constexpr int kWidest = 2;
#endif

template <int C>
inline constexpr int kRowsOf = C > 2 ? kTileRows / 2 : kTileRows;

// Panels that the next tiles reach over, when so many columns are left.
template <class T>
ONEFOLD_INLINE int64_t panels_beside(int64_t columns) {
    return kWidest * lanes<T> > kPanel && columns > (kWidest - 1) * lanes<T> ? kWidest * lanes<T> / kPanel
                                                                             : 1;
}

// How a tile's accumulators begin, and what becomes of them: as they are, without what is negative, or only
// where the gate is positive.
enum class Start { zero, bias, output };
enum class Finish { plain, relu, gated };

// What is read later, to be asked for: from this address on, so many bytes in each step of all tiles.
struct Asked {
    const std::byte* at;
    int64_t step;
};

// One register tile's work: c[r, 0..C*lanes) = chain over k of a[r, k] * b[k * b_step + ...]. Forward,
// a[r, k] stands at a[k / 32 * a_panel + r * a_row + k % 32]; in the gradient at a[k * a_step + r].
template <class T>
struct Tile {
    T* c;
    const T* a;
    const T* b;
    const T* bias;
    int64_t c_row, a_row, a_step, a_panel, b_step, count;
    int64_t b_panel, c_panel, gate_panel;  // from a panel to the next
    Asked ahead_a, ahead_b;                // gradient: both; else of B alone
    int64_t next_step;                     // gradient: bytes of the next tile's C to be asked for in a step
    T* sums;                               // gradient: of B's rows, which the last tile makes too; or null
    Start start;
    Finish finish;  // forward
    const T* gate;
    int64_t gate_row;
    bool streamed = false;                    // forward
    const std::byte* const* later = nullptr;  // forward, panels: rows that are gathered later, or null;
    int64_t later_begin = 0;                  // bytes of such a row before the first step
    int64_t later_first = 0, later_step = 1;  // which of the tile's rows ask for theirs; with two panels
                                              // those after them too
};

// Where A's numbers stand. Forward: rows are so and so far apart, or 32 in panels, where every address is
// a constant away from one register. Gradient: rows are columns of x, side by side.
enum class Layout { rows, panels, columns };

// Steps of a tile that follow one another without a look at the counter, and then ask for what comes. With
// AVX2 a step has 12 multiply-adds, and its other instructions count, most of all while another thread runs
// on the core. There eight steps in panels instead of four, two Granite Rapids cores: forward of 72 rows,
// 1024-1024, 112 -> 118 GFLOP/s (peak 126), 100-64 111 -> 114; updates of 5000-64-10 at 256 rows 1.06,
// 784-1024-1024-1024-10 at 1,024 1.05, 20-64-64-2 at 32 and 13-100-1 at 64 1.03, 50-200-100-10 at 10,000
// 1.02, others 1.00 to 1.01 times as fast. Lost: eight in gradients (50-200-100-10 at 10,000 0.94, asking for
// A twice in them 0.96), sixteen (0.92 to 1.02); eight in panels with AVX-512 (0.96 to 0.99).
template <int C, Layout A>
inline constexpr int kStepsOf = C > 2                        ? 4
                                : ONEFOLD_VECTOR_BYTES != 32 ? 1
                                : A == Layout::panels        ? 8
                                                             : 4;

// With Sums (gradient) the rows of B are summed too, as if A had a column of ones, in registers of their own.
template <class T, int R, int C, Layout A, bool Sums>
[[gnu::noinline]] static void tile(const Tile<T>& t) {
    Vec<T> sum[R][C], sums[C];
    T* c = t.c;
    const T* a = t.a;
    const T* b = t.b;
    const int64_t b_step = A == Layout::columns ? t.b_step : kPanel;
    constexpr int steps = kStepsOf<C, A>;
    constexpr bool two_panels = C * lanes<T> > kPanel;
    const auto at = [](int v, int64_t panel) __attribute__((always_inline)) {
        const int column = v * lanes<T>;
        return (two_panels ? column / kPanel * panel : 0) + column % kPanel;
    };
    const auto beside = [](int64_t panel)
                            __attribute__((always_inline)) { return panel * int64_t(sizeof(T)); };
    const std::byte* ahead_a = t.ahead_a.at;
    const std::byte* ahead_b = t.ahead_b.at;
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v)
            sum[r][v] = t.start == Start::zero   ? Vec<T>{}
                        : t.start == Start::bias ? load(t.bias + v * lanes<T>)
                                                 : load(c + r * t.c_row + at(v, t.c_panel));
    if constexpr (Sums)
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v) sums[v] = t.start == Start::zero ? Vec<T>{} : load(t.sums + v * lanes<T>);
    const std::byte* next = reinterpret_cast<const std::byte*>(c + R * t.c_row);
    int64_t row[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
        row[r] = r * (A == Layout::columns ? 1 : A == Layout::panels ? kPanel : t.a_row);
        if (steps > 1 && A == Layout::rows && r > 0) forget_origin(row[r]);
    }
    const auto step = [&] [[gnu::always_inline]] {
        Vec<T> right[C];
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v) right[v] = load(b + at(v, t.b_panel));
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            const Vec<T> left = broadcast_bits(a[row[r]]);
#pragma GCC unroll 8
            for (int v = 0; v < C; ++v) accumulate(sum[r][v], left, right[v]);
        }
        if constexpr (Sums)
#pragma GCC unroll 8
            for (int v = 0; v < C; ++v) sums[v] = sums[v] + right[v];
        a += A == Layout::columns ? t.a_step : 1;
        b += b_step;
        if constexpr (A == Layout::columns && steps == 1) {
            __builtin_prefetch(ahead_a, 0, 2);
            ahead_a += t.ahead_a.step;
        }
        if constexpr (steps > 1 && A != Layout::panels) forget_origin(a);
    };
    int64_t later = t.later_begin;
    for (int64_t left = t.count; left > 0;) {
        int64_t k = left;
        if constexpr (A == Layout::panels) {
            k = left < kPanel ? left : kPanel;
            ahead_a = reinterpret_cast<const std::byte*>(left > kPanel ? a + t.a_panel : t.a + R * kPanel);
            if (t.later != nullptr)
                for (int64_t first = t.later_first; first <= t.later_first + int(two_panels); ++first)
                    for (int64_t r = first < t.later_step ? first : 0; r < R; r += t.later_step)
                        for (int64_t line = 0; line < 128; line += 64)
                            __builtin_prefetch(t.later[r] + later + line, 0, 2);
            later += 128;
        }
        left -= k;
        for (; k >= steps; k -= steps) {
#pragma GCC unroll 8
            for (int s = 0; s < steps; ++s) step();
            __builtin_prefetch(ahead_b, 0, 2);
            if constexpr (two_panels) __builtin_prefetch(ahead_b + beside(t.b_panel), 0, 2);
            ahead_b += steps * t.ahead_b.step;
            if constexpr (A == Layout::columns && steps > 1) {
                __builtin_prefetch(ahead_a, 0, 2);
                ahead_a += steps * t.ahead_a.step;
            }
            if constexpr (A == Layout::columns) {
                __builtin_prefetch(next, 1, 3);
                if constexpr (two_panels) __builtin_prefetch(next + beside(t.c_panel), 1, 3);
                next += steps * t.next_step;
            }
            if constexpr (A == Layout::panels) {
                constexpr int bytes = steps * R * int(sizeof(T));
#pragma GCC unroll 4
                for (int line = 0; line < bytes; line += 64) __builtin_prefetch(ahead_a + line, 0, 3);
                ahead_a += bytes;
            }
        }
        if constexpr (steps > 1)
#pragma GCC unroll 1
            for (; k > 0; --k) step();
        if constexpr (A == Layout::panels) a += t.a_panel - kPanel;
    }
    if (A != Layout::columns && t.finish == Finish::relu)
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < C; ++v) sum[r][v] = larger(zero<T>(), sum[r][v]);
    if (A != Layout::columns && t.finish == Finish::gated)
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < C; ++v)
                sum[r][v] = select(load(t.gate + r * t.gate_row + at(v, t.gate_panel)) > zero<T>(), sum[r][v],
                                   zero<T>());
    if (A != Layout::columns && t.streamed) {
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < C; ++v) stream(c + r * t.c_row + at(v, t.c_panel), sum[r][v]);
        return;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v) store(c + r * t.c_row + at(v, t.c_panel), sum[r][v]);
    if constexpr (Sums)
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v) store(t.sums + v * lanes<T>, sums[v]);
}

// The tile of R rows, found among the compiled sizes.
template <class T, int C, Layout A, bool Sums, int R = kRowsOf<C> - int(Sums)>
ONEFOLD_INLINE void run_tile(int64_t rows, const Tile<T>& t) {
    if constexpr (R == 1) {
        tile<T, 1, C, A, Sums>(t);
    } else {
        if (rows == R)
            tile<T, R, C, A, Sums>(t);
        else
            run_tile<T, C, A, Sums, R - 1>(rows, t);
    }
}

// Rows of c one after another in tiles as even as they can be (every tile size costs about the
// same time as the largest, so 13 rows go as 7 + 6, not as 12 + 1). Sums take a row's place in the last one.
template <class T, int C, Layout A>
[[gnu::noinline]] static void strip(Tile<T> t, int64_t rows) {
    const bool sums = A == Layout::columns && t.sums != nullptr;
    rows += int(sums);
    int64_t tiles = (rows + kRowsOf<C> - 1) / kRowsOf<C>;
    t.ahead_a.step /= tiles;
    t.ahead_b.step /= tiles;
    if (A == Layout::columns) t.next_step = kRowsOf<C> * t.c_row * int64_t(sizeof(T)) / t.count;
    while (tiles > 0) {
        const int64_t size = (rows + tiles - 1) / tiles;
        if constexpr (A == Layout::columns)
            if (sums && tiles == 1) return run_tile<T, C, A, true>(size - 1, t);
        run_tile<T, C, A, false>(size, t);
        t.ahead_a.at += t.ahead_a.step * t.count;
        t.ahead_b.at += t.ahead_b.step * t.count;
        t.a += size * t.a_row;
        t.c += size * t.c_row;
        if (A != Layout::columns && t.finish == Finish::gated) t.gate += size * t.gate_row;
        if (t.later != nullptr) {
            t.later += size;
            t.later_first = (t.later_first + (t.later_step - 1) * size) % t.later_step;
        }
        rows -= size;
        --tiles;
    }
}

// `width` columns: of a panel, or of as many as the widest tile reaches over.
template <class T, Layout A>
ONEFOLD_INLINE void panel(Tile<T> t, int64_t rows, int64_t width) {
    if constexpr (kWidest > 2)
        if (width > (kWidest - 1) * lanes<T>) return strip<T, kWidest, A>(t, rows);
    constexpr int64_t step = 2 * lanes<T>;
    for (; width > lanes<T>; width -= step) {
        strip<T, 2, A>(t, rows);
        t.later = nullptr;  // all are asked for
        t.b += step;
        t.c += step;
        t.bias += step;
        if (A == Layout::columns && t.sums != nullptr) t.sums += step;
        if (A != Layout::columns && t.finish == Finish::gated) t.gate += step;
    }
    if (width > 0) strip<T, 1, A>(t, rows);
}

}  // namespace onefold::ONEFOLD_LEVEL
