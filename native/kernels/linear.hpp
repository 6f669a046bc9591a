// Linear layer: z = x W + b, and its gradients. Every sum is one chain of fused multiply-adds.
//
//   forward          z[r, j]  = fma(x[r, k], W[k, j], ...) for k ascending, starting at b[j] (or 0)
//   backward data    dx[r, k] = fma(dz[r, j], W[k, j], ...) for j ascending, starting at 0
//   weight gradient  G[i, j]  = fma(x[r, i], dz[r, j], ...) for r ascending, starting at G (or 0)
//   bias gradient    g[j]     = dz[r, j] + ... for r ascending, starting at g (or 0)
//
// Shapes: x (rows, in), z and dz (rows, out), W and G (in, out) in panels, b and g (1, out) in panels.
// The backward product reads W transposed, packed in panels of its own, and is then the forward
// product without a bias.
// Writes: forward and backward by `=`; gradients by `=`, or continuing the chain when call.resume.
// Row buffers must be writable up to a multiple of 16 columns; what is written there is f of zeros.
// Cost: 2 * rows * in * out operations each; W is read once for every tile of rows.
//
// All three products are one register tile: R rows of A against C vectors of a panel, the
// accumulators loaded first, an outer product for each step of the chain. The chain is cut into
// blocks of kBlock steps, so that the panel's block (128 kB) stays in the second-level cache while
// the tiles of rows pass over it. Meanwhile a tile asks for its share of B's next block, and in the
// weight gradient for A, B and C to come: these are in memory or the last cache, and without that the
// first tile of every block waits for them. The gradient reads both factors across their rows, so its
// blocks are short where a row is about a page (gradient_block).
//
// Measured with 784-1024-1024-1024-10 at batch 1,024 on a Zen 5 core (peak 261 GFLOP/s), GFLOP/s of
// forward, backward and gradient, in place: without asking ahead 222, 220, 200; with 245, 228, 202;
// gradients in blocks of 192 rows by 4 panels instead of 96 by 1: 216; asking for the next C: 223.
// Blocks of 256, 384, 512, 1,024 steps: 237, 237, 237, 246 (forward); in the gradient 512 rows are
// better than 1,024 (64-256-256-10 at 1,024 rows: 229 against 170).
// AVX2 on a Zen 3 core (peak 103), best of 40 and, in brackets, median while another thread runs on the
// core: gradient of 256 rows, 256-256, in blocks of 512 rows 67 (54), of 128 rows 86 (61), with four steps
// unrolled and B not asked for 90 (79), of 1,024 rows, 1024-1024 61, 74, 85; forward of 72 rows, 256-256,
// 95 (70), unrolled 96 (86). Four steps unrolled without accumulate() and forget_origin(): 87 (62).
//
// Gradient of 1,024 rows, 1024-1024, on an Emerald Rapids core (peak 176): in blocks of 512 rows 119; of 32
// rows, with nothing asked for, 135; with the next tile's C asked for into the first-level cache and a row of
// the next block by each tile 141; by 8 panels at once 150. Factors of 192 and 64 columns in the second-level
// cache: with rows one after another 176, with rows of 4,160 bytes 136 (512 rows a block) and 163 (32).
// Whole updates of 784-1024-1024-1024-10 are 1.075 times as fast, with AVX2 1.06 times, and 784-512-512-10
// 1.02 and 1.03 times. 50-200-100-10 at 10,000 rows was 0.95 times as fast in blocks of 204 rows, and in
// blocks of 512 that asked for rows of the next without tiles enough for them; as it is, 1.00 times.
// Lost there: copies of both factors, made a tile at a time (139) or a block at a time (130).
//
// Lost: row tiles of 144 rows (193 against 194) and of 216 (184); asking for B twelve steps ahead
// into the first-level cache (219 against 222). With AVX2: tiles of 3 rows by 4 vectors (74 against 88),
// copies of B's strips (89 against 85 at 1,024 rows, 57 against 68 at 32), blocks of 64 and 96 rows.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

inline constexpr int64_t kBlock = 1024;  // of columns

// Rows of the register tile: what 32 (AVX-512, NEON) or 16 vector registers hold with two vectors a row.
// Rows of a gradient's block at most, of which more than a panel is kept near.
#if ONEFOLD_VECTOR_BYTES == 64 || defined(ONEFOLD_NEON)
inline constexpr int kTileRows = 12;
inline constexpr int64_t kGradientBlock = 512;
#else
inline constexpr int kTileRows = 6;
inline constexpr int64_t kGradientBlock = 128;
#endif

// Steps of a tile that follow one another without a look at the counter. With AVX2 a step has 12
// multiply-adds, and its other instructions count, most of all while another thread runs on the core.
#if ONEFOLD_VECTOR_BYTES == 32
inline constexpr int kUnrolled = 4;
#else
inline constexpr int kUnrolled = 1;
#endif

// How a tile's accumulators begin.
enum class Start { zero, bias, output };

// What is read later, to be asked for: the address moves by so many bytes a step and a tile.
struct Asked {
    const std::byte* at;
    int64_t step, tile;
};

// One register tile's work: c[r, 0..C*lanes) = chain over k of a[r * a_row + k * a_step] * b[k * b_step +
// ...].
template <class T>
struct Tile {
    T* c;
    const T* a;
    const T* b;
    const T* bias;
    int64_t c_row, a_row, a_step, b_step, count;
    Asked ahead_a, ahead_b;  // gradient: both; else of B alone
    int64_t next_step;       // gradient: bytes of the next tile's C to be asked for in a step
    Start start;
};

// Which of A's steps is known to be one, so that its addresses need no multiplication.
enum class Contiguous { along_chain, along_rows };

template <class T, int R, int C, Contiguous A>
[[gnu::noinline]] static void tile(const Tile<T>& t) {
    Vec<T> sum[R][C];
    T* c = t.c;
    const T* a = t.a;
    const T* b = t.b;
    const int64_t a_row = A == Contiguous::along_rows ? 1 : t.a_row;
    const int64_t a_step = A == Contiguous::along_chain ? 1 : t.a_step;
    const int64_t b_step = A == Contiguous::along_chain ? kPanel : t.b_step;
    const std::byte* ahead_a = t.ahead_a.at;
    const std::byte* ahead_b = t.ahead_b.at;
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v)
            sum[r][v] = t.start == Start::zero   ? Vec<T>{}
                        : t.start == Start::bias ? load(t.bias + v * lanes<T>)
                                                 : load(c + r * t.c_row + v * lanes<T>);
    const std::byte* next = reinterpret_cast<const std::byte*>(c + R * t.c_row);
    int64_t row[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
        row[r] = r * a_row;
        if (kUnrolled > 1 && A == Contiguous::along_chain && r > 0) forget_origin(row[r]);
    }
    const auto step = [&] [[gnu::always_inline]] {
        Vec<T> right[C];
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v) right[v] = load(b + v * lanes<T>);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            const Vec<T> left = broadcast_bits(a[row[r]]);
#pragma GCC unroll 8
            for (int v = 0; v < C; ++v) accumulate(sum[r][v], left, right[v]);
        }
        a += a_step;
        b += b_step;
        if constexpr (kUnrolled > 1) forget_origin(a);
        if constexpr (A == Contiguous::along_rows) {
            __builtin_prefetch(ahead_a, 0, 2);
            ahead_a += t.ahead_a.step;
        }
    };
    int64_t k = t.count;
    for (; k >= kUnrolled; k -= kUnrolled) {
#pragma GCC unroll 4
        for (int s = 0; s < kUnrolled; ++s) step();
        __builtin_prefetch(ahead_b, 0, 2);
        ahead_b += kUnrolled * t.ahead_b.step;
        if constexpr (A == Contiguous::along_rows) {
            __builtin_prefetch(next, 1, 3);
            next += kUnrolled * t.next_step;
        }
    }
    if constexpr (kUnrolled > 1)
#pragma GCC unroll 1
        for (; k > 0; --k) step();
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v) store(c + r * t.c_row + v * lanes<T>, sum[r][v]);
}

// The tile of R rows, found among the compiled sizes.
template <class T, int C, Contiguous A, int R = kTileRows>
ONEFOLD_INLINE void run_tile(int64_t rows, const Tile<T>& t) {
    if constexpr (R == 1) {
        tile<T, 1, C, A>(t);
    } else {
        if (rows == R)
            tile<T, R, C, A>(t);
        else
            run_tile<T, C, A, R - 1>(rows, t);
    }
}

// Rows of c one after another in tiles as even as they can be (every tile size costs about the
// same time as the largest, so 13 rows go as 7 + 6, not as 12 + 1).
template <class T, int C, Contiguous A>
[[gnu::noinline]] static void strip(Tile<T> t, int64_t rows) {
    int64_t tiles = (rows + kTileRows - 1) / kTileRows;
    if (A == Contiguous::along_chain) {
        t.ahead_b.step /= tiles;
        t.ahead_b.tile = t.ahead_b.step * t.count;
    }
    while (tiles > 0) {
        const int64_t size = (rows + tiles - 1) / tiles;
        run_tile<T, C, A>(size, t);
        t.ahead_a.at += t.ahead_a.tile;
        t.ahead_b.at += t.ahead_b.tile;
        t.a += size * t.a_row;
        t.c += size * t.c_row;
        rows -= size;
        --tiles;
    }
}

// All columns of one panel (`width` of them in use) in strips of two vectors, the last perhaps of one.
template <class T, Contiguous A>
ONEFOLD_INLINE void panel(Tile<T> t, int64_t rows, int64_t width) {
    constexpr int64_t step = 2 * lanes<T>;
    for (; width > lanes<T>; width -= step) {
        strip<T, 2, A>(t, rows);
        t.b += step;
        t.c += step;
        t.bias += step;
    }
    if (width > 0) strip<T, 1, A>(t, rows);
}

// Panels that R rows take side by side, so that there are enough chains to hide an addition's latency:
// the accumulators of a full register tile.
template <class T, int R>
inline constexpr int kPanelsAtOnce = kTileRows * 2 * lanes<T> / (R * int(kPanel));

// R rows, few, against P panels of W at once. One row of 64-64: 148 -> 75 ns; of 256-256: 2.3 -> 1.5 us.
template <class T, int R, int P>
[[gnu::noinline]] static void few_rows_panels(const Call& call, int64_t first) {
    constexpr int V = int(kPanel) / lanes<T>;
    const auto& [z, x, W, b] = reinterpret_cast<const Operand(&)[4]>(call.operand);
    const int64_t in = W.stride;
    const T* weight = static_cast<const T*>(W.data) + first * in * kPanel;
    const T* bias = b.data ? static_cast<const T*>(b.data) + first * kPanel : nullptr;
    const T* from = static_cast<const T*>(x.data);
    Vec<T> sum[R][P][V];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v)
                sum[r][p][v] = bias ? load(bias + p * kPanel + v * lanes<T>) : Vec<T>{};
    for (int64_t k = 0; k < in; ++k, weight += kPanel) {
        Vec<T> left[R];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) left[r] = broadcast_bits(from[r * x.stride + k]);
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v) {
                const Vec<T> right = load(weight + p * in * kPanel + v * lanes<T>);
#pragma GCC unroll 4
                for (int r = 0; r < R; ++r) sum[r][p][v] = fma(left[r], right, sum[r][p][v]);
            }
    }
    const int64_t room = (z.width + 15) / 16 * 16 - first * kPanel;  // row buffers go up to there
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v)
                if (p * kPanel + v * lanes<T> < room)
                    store(static_cast<T*>(z.data) + r * z.stride + (first + p) * kPanel + v * lanes<T>,
                          sum[r][p][v]);
}

template <class T, int R, int P = kPanelsAtOnce<T, R>>
ONEFOLD_INLINE void few_rows_from(const Call& call, int64_t first, int64_t panels) {
    for (; panels >= P; first += P, panels -= P) few_rows_panels<T, R, P>(call, first);
    if constexpr (P > 1)
        if (panels > 0) few_rows_from<T, R, P / 2>(call, first, panels);
}

template <class T>
[[gnu::noinline]] static void few_rows(const Call& call) {
    const int64_t panels = (call.operand[2].width + kPanel - 1) / kPanel;
    if constexpr (kPanelsAtOnce<T, 1> > 0)
        if (call.rows == 1) few_rows_from<T, 1>(call, 0, panels);
    if constexpr (kPanelsAtOnce<T, 2> > 0)
        if (call.rows == 2) few_rows_from<T, 2>(call, 0, panels);
}

// z = x W + b for a tile of rows; b may be absent.
template <class T>
static void linear_forward(const Call& call) {
    if (call.rows <= 2 && kPanelsAtOnce<T, 1> >= call.rows) return few_rows<T>(call);
    const auto& [z, x, W, b] = reinterpret_cast<const Operand(&)[4]>(call.operand);
    const int64_t in = W.stride, out = W.width;
    if (out <= kNarrow && call.rows >= kNarrowRows)
        return with_outputs(out, [&]<int N>(Outputs<N>) { narrow_forward<T, N>(call); });
    const int64_t blocks = (in + kBlock - 1) / kBlock;
    for (int64_t p = 0; p * kPanel < out; ++p) {
        const int64_t width = out - p * kPanel < kPanel ? out - p * kPanel : kPanel;
        Tile<T> t;
        t.c = static_cast<T*>(z.data) + p * kPanel;
        t.c_row = z.stride;
        t.a_row = x.stride;
        t.a_step = 1;
        t.b_step = kPanel;
        t.bias = b.data ? static_cast<const T*>(b.data) + p * kPanel : nullptr;
        for (int64_t block = 0; block < blocks; ++block) {
            const int64_t k0 = in * block / blocks, k1 = in * (block + 1) / blocks;
            t.a = static_cast<const T*>(x.data) + k0;
            t.b = static_cast<const T*>(W.data) + (p * in + k0) * kPanel;
            t.count = k1 - k0;
            t.start = block > 0 ? Start::output : b.data ? Start::bias : Start::zero;
            t.ahead_a = {};
            t.ahead_b = {reinterpret_cast<const std::byte*>(t.b + t.count * kPanel),
                         kPanel * int64_t(sizeof(T)), 0};
            panel<T, Contiguous::along_chain>(t, call.rows, width);
        }
    }
}

// dx = dz W^T, with W transposed in panels: the forward product without a bias.
template <class T>
static void linear_backward(const Call& call) {
    linear_forward<T>(call);
}

// Rows of a gradient's block. Each step of the chain reads a row of both factors. Where these are far apart,
// a block touches no more pages than the first-level TLB holds (64 or 96 entries) with room for the output's:
// 32 rows where each is a page or more, 128 at half a page. Where many rows share a page it does not matter.
template <class T>
ONEFOLD_INLINE int64_t gradient_block(const Operand& x, const Operand& dz) {
    constexpr int64_t page = 4096, rows_of_a_page = 32;
    const auto apart = [](const Operand& o) {
        const int64_t bytes = o.stride * int64_t(sizeof(T));
        return bytes < page ? bytes : page;
    };
    const int64_t both = apart(x) + apart(dz);
    const int64_t rows = rows_of_a_page * (2 * page) * (2 * page) / (both * both);
    return rows < kGradientBlock ? rows : kGradientBlock;
}

// A block of G: its panel rows [begin, end), where panel row p * in + i holds G[i, 32p .. 32p + 31],
// all of one panel, and the same rows of the panels that follow.
template <class T>
static void weight_gradient(const Call& call) {
    const auto& [G, x, dz] = reinterpret_cast<const Operand(&)[3]>(call.operand);
    const int64_t in = G.stride, out = G.width;
    if (out <= kNarrow && call.rows >= kNarrowRows)
        return with_outputs(out, [&]<int N>(Outputs<N>) { narrow_gradient<T, N>(call); });
    const int64_t block_rows = gradient_block<T>(x, dz), blocks = (call.rows + block_rows - 1) / block_rows;
    const int64_t first = call.begin / in, i = call.begin % in, count = call.end - call.begin;
    const int64_t tiles = (count + kTileRows - 1) / kTileRows, size = sizeof(T);
    const auto bytes = [](const T* p) { return reinterpret_cast<const std::byte*>(p); };
    Tile<T> t;
    t.c_row = kPanel;
    t.a_row = 1;
    t.a_step = x.stride;
    t.b_step = dz.stride;
    t.bias = nullptr;
    for (int64_t block = 0; block < blocks; ++block) {
        const int64_t r0 = call.rows * block / blocks, r1 = call.rows * (block + 1) / blocks;
        t.count = r1 - r0;
        t.start = block > 0 || call.resume ? Start::output : Start::zero;
        t.next_step = kTileRows * kPanel * size / t.count;
        for (int64_t p = 0; p < call.panels; ++p) {
            const int64_t from = (first + p) * kPanel, width = out - from < kPanel ? out - from : kPanel;
            t.c = static_cast<T*>(G.data) + (from / kPanel * in + i) * kPanel;
            t.a = static_cast<const T*>(x.data) + r0 * x.stride + i;
            t.b = static_cast<const T*>(dz.data) + r0 * dz.stride + from;
            // Asked for: where there are tiles enough, a row of the next block by each of them; else, and in
            // the first block, the next tile's columns of x, and the next panel of dz.
            const int64_t row = r1 + p * tiles;
            const bool rows_ahead = block + 1 < blocks && call.panels * tiles >= t.count;
            const bool near = !rows_ahead || (block == 0 && p == 0);
            t.ahead_a = !near    ? Asked{bytes(static_cast<const T*>(x.data) + row * x.stride + i),
                                      count * size / t.count, x.stride * size}
                        : p == 0 ? Asked{bytes(t.a + 2 * kTileRows - 1), x.stride * size, kTileRows * size}
                                 : Asked{bytes(t.c), 0, 0};
            t.ahead_b = near ? Asked{bytes(t.b + kPanel), dz.stride * size, 0}
                             : Asked{bytes(static_cast<const T*>(dz.data) + row * dz.stride + first * kPanel),
                                     call.panels * kPanel * size / t.count, dz.stride * size};
            panel<T, Contiguous::along_rows>(t, count, width);
            // Columns beyond the last one hold products of padding: in the end they are zero.
            if (width < kPanel && block + 1 == blocks)
                for (int64_t r = 0; r < count; ++r)
                    for (int64_t c = width; c < kPanel; ++c) t.c[r * kPanel + c] = T(0);
        }
    }
}

// A block of g, `panels` of them from `begin` on: sums of dz over rows.
template <class T>
static void bias_gradient(const Call& call) {
    const auto& [g, dz] = reinterpret_cast<const Operand(&)[2]>(call.operand);
    for (int64_t p = call.begin; p < call.begin + call.panels; ++p) {
        const int64_t width = g.width - p * kPanel < kPanel ? g.width - p * kPanel : kPanel;
        T* out = static_cast<T*>(g.data) + p * kPanel;
        if (!call.resume)
            for (int64_t c = 0; c < kPanel; ++c) out[c] = T(0);
        for (int64_t c = 0; c < width; c += lanes<T>) {
            const T* d = static_cast<const T*>(dz.data) + p * kPanel + c;
            Vec<T> sum = load(out + c);
            for (int64_t r = 0; r < call.rows; ++r) sum = sum + load(d + r * dz.stride);
            const int64_t left = width - c;
            if (left < lanes<T>)
                store_part(out + c, sum, left);
            else
                store(out + c, sum);
        }
    }
}

// A square of 32 by 32 between panels, in squares of one vector turned in registers.
template <class T>
static void transpose_square(T* to, const T* from) {
    for (int j = 0; j < kPanel; j += lanes<T>)
        for (int i = 0; i < kPanel; i += lanes<T>) {
            Vec<T> row[lanes<T>];
#pragma GCC unroll 16
            for (int r = 0; r < lanes<T>; ++r) row[r] = load(from + (i + r) * kPanel + j);
            turn<T>(row);
#pragma GCC unroll 16
            for (int r = 0; r < lanes<T>; ++r) store(to + (j + r) * kPanel + i, row[r]);
        }
}

// Wt = W transposed, for panel rows [begin, end) of W (in, out): Wt is (out, in) in panels.
template <class T>
static void transpose(const Call& call) {
    const auto& [Wt, W] = reinterpret_cast<const Operand(&)[2]>(call.operand);
    const int64_t in = W.stride, out = W.width;
    for (int64_t first = call.begin; first < call.end;) {
        const int64_t p = first / in, i0 = first % in;
        int64_t count = kPanel - i0 % kPanel;  // up to the end of one panel of Wt
        if (count > in - i0) count = in - i0;
        if (count > call.end - first) count = call.end - first;
        const int64_t width = out - p * kPanel < kPanel ? out - p * kPanel : kPanel;
        const T* from = static_cast<const T*>(W.data) + first * kPanel;
        T* to = static_cast<T*>(Wt.data) + (i0 / kPanel * out + p * kPanel) * kPanel + i0 % kPanel;
        if (count == kPanel && width == kPanel)
            transpose_square(to, from);
        else
            for (int64_t j = 0; j < width; ++j)
                for (int64_t i = 0; i < count; ++i) to[j * kPanel + i] = from[i * kPanel + j];
        first += count;
    }
}

// clang-format off
#define ONEFOLD_LINEAR_KERNELS(X) \
    X(linear_forward) X(linear_backward) X(weight_gradient) X(bias_gradient) X(transpose)
// clang-format on

}  // namespace onefold::ONEFOLD_LEVEL
