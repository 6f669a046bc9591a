// Linear layer: z = x W + b, and its gradients. Every sum is one chain of fused multiply-adds.
//
//   forward          z[r, j]  = fma(x[r, k], W[k, j], ...) for k ascending, starting at b[j] (or 0)
//   backward data    dx[r, k] = fma(dz[r, j], W[k, j], ...) for j ascending, starting at 0
//   weight gradient  G[i, j]  = fma(x[r, i], dz[r, j], ...) for r ascending, starting at G (or 0)
//   bias gradient    g[j]     = dz[r, j] + ... for r ascending, starting at g (or 0)
//
// Shapes: x (rows, in), z and dz (rows, out), W and G (in, out) in panels, b and g (1, out) in panels.
// The backward product reads W transposed, packed in panels of its own, and is then the forward
// product without a bias. The kernels that end in _relu write what relu_forward would make of z, and what
// relu_backward would make of dx, whose last operand is that layer's output y (rows, in): a pass over values
// less, and the same bits.
// Writes: forward and backward by `=`; gradients by `=`, or continuing the chain when call.resume.
// Row buffers must be writable up to a multiple of 16 columns; what is written there is f of zeros.
// Cost: 2 * rows * in * out operations each; W is read once for every tile of rows.
//
// All three products are one register tile (tile.hpp): R rows of A against C vectors of B, the accumulators
// loaded first, an outer product for each step of the chain; but for one or two rows (few_rows), up to four
// inputs (few_inputs.hpp), and up to four columns, or as many left over (narrow.hpp). The chain is cut into
// blocks of kBlock steps, so that the block of one or two panels (128 kB each) stays in the second-level
// cache while the tiles of rows pass over it. Meanwhile a tile asks for its share of B's next block and for
// A's next panel, and in the weight gradient for A, B and C to come: these are in memory or a cache further
// away, and without that the first tile of every block waits for them. The gradient reads both factors along
// their rows; in panels these follow one another.
//
// Measured with 784-1024-1024-1024-10 at batch 1,024 on a Zen 5 core (peak 261 GFLOP/s), GFLOP/s of
// forward, backward and gradient, in place, with values in whole rows: without asking ahead 222, 220, 200;
// with 245, 228, 202; gradients in blocks of 192 rows by 4 panels instead of 96 by 1: 216; asking for the
// next C: 223. Blocks of 256, 384, 512, 1,024 steps: 237, 237, 237, 246 (forward).
//
// Values in whole rows and in panels, in whole updates on an Emerald Rapids core (peak 176): forward 166 and
// 167, backward 165 and 164, gradient 143 and 165. The gradient alone, 10,000 rows: 50-200 82 and 137,
// 200-100 84 and 127; 256 rows: 256-256 157 and 168, 5000-64 153 and 167; with AVX2 75 and 84, 71 and 82. In
// blocks of 96, 128, 192, 256 and 512 rows (1,024 rows, 1024-1024): 163, 166, 166, 158, 159. Updates in
// panels are so many times as fast, medians: 784-1024-1024-1024-10 1.05, 784-512-512-10 1.05,
// 100-256-256-10 1.06, 50-200-100-10 at 10,000 rows 1.09, 5000-64-10 1.06; with
// AVX2 1.03, 1.07, 1.05, 1.01, 1.08, but 33-77-51-3 at 50 rows 0.97: a panel of one column takes a tile of
// its own. Lost with panels: addresses of A in a register for each row, as whole rows need them (forward 0.90
// times as fast, with four steps unrolled 0.98); no A asked for (0.96); the step from panel to panel without
// a branch (0.95); values of up to 64 columns in whole rows (0.97 to 1.00). With values in whole rows copies
// of both factors lost, made a tile at a time (139 against 146) or a block at a time (130): panels cost
// nothing, because each value is written once anyway.
//
// AVX2 on a Zen 3 core (peak 103), best of 40 and, in brackets, median while another thread runs on the
// core: gradient of 256 rows, 256-256, with four steps unrolled and B not asked for 90 (79), else 86 (61);
// forward of 72 rows, 256-256, 95 (70), unrolled 96 (86). Four steps unrolled without accumulate() and
// forget_origin(): 87 (62). On two Granite Rapids cores: A asked for once in four steps instead of in each,
// gradient alone 1.01, updates of 100-256-256-10 at 256 rows 1.05, 5000-64-10 1.04, 784-512-512-10 and
// 50-200-100-10 at 10,000 rows 1.01 times as fast; blocks of 384 rows 0.98.
//
// Lost, AVX2 on a Zen 3 core: gradients in blocks of 64 and of 96 rows (alone 0.91 to 1.04 times as fast), or
// with the strides of panels known when compiling, six instructions less in 96 (0.94 to 1.01).
//
// Lost, updates on two Zen 4 cores: asking for the parameter and its states while a tile of the gradient is
// made (0.98 to 1.00 times as fast); 12, 16 or 32 tasks of gradients a thread instead of 8 (0.98 to 1.01).
//
// Lost, updates on two Granite Rapids cores: updated weights pushed to the third-level cache with CLDEMOTE
// (0.88 to 1.00); tiles of 8 rows by 3 vectors for what is left of a row (1.00); asking for the parameter and
// its states during the last block of rows of its gradient (the optimizer 0.70 of its time, the
// gradient 1.03, updates of 784-512-512-10 1.01 to 1.02 times as fast, of 784-1024-1024-1024-10 and
// 5000-64-10 0.99 to 1.01); gradients in blocks of 512 rows (alone 1.01, updates 1.00).
//
// The gradient of biases takes a row's place in the last tile of the first inputs, and of 32 inputs there is
// one to spare: it costs nothing there (1,400 rows, 200-100: 343 and 346 us), where passes of their own over
// dz took 2 to 4 % of an update. One or two rows, and columns that are left over, still need such a pass. A
// block's last rows ask for the first ones of what the thread makes next. Both together, updates on two
// Granite Rapids cores, times as fast: 13-100-1 at 64 rows 1.06, 20-64-64-2 at 32 1.03, at 1 1.02,
// 784-512-512-10 at 128 1.02, 784-1024-1024-1024-10 at 1,024 1.02, 5000-64-10 at 256 1.02, 100-256-256-10 at
// 256 1.01, 50-200-100-10 at 10,000 0.99 (AVX2 1.02), others with AVX2 0.99 to 1.01.
//
// There, peak 243: forward of 64 rows, 1024-1024, 232, and 229 to 231 as part of 1,024 rows or of any number
// near it, with values and weights that no cache holds the same; blocks of 128, 192, 256, 512 steps 0.98,
// 0.97, 0.985, 1.00 times as fast. Gradient of 1,024 rows, 1024-192, 219, and 230 where all of it is in the
// first two caches; a request more in every step costs 1.5 %, four 10 %.
//
// Lost: row tiles of 144 rows (193 against 194) and of 216 (184); asking for B twelve steps ahead
// into the first-level cache (219 against 222). With AVX2: tiles of 3 rows by 4 vectors (74 against 88).
#pragma once

namespace onefold::ONEFOLD_LEVEL {

inline constexpr int64_t kBlock = 1024;  // of columns

// Rows of a gradient's block: a panel of each factor (24 kB) fits into the first-level cache.
inline constexpr int64_t kGradientBlock = 192;

// Panels that R rows take side by side, so that there are enough chains to hide an addition's latency:
// the accumulators of a full register tile.
template <class T, int R>
inline constexpr int kPanelsAtOnce = kTileRows * 2 * lanes<T> / (R * int(kPanel));

// R rows, few, against P panels of W at once. One row of 64-64: 148 -> 75 ns; of 256-256: 2.3 -> 1.5 us. Two
// panels are worth a function of their own: an update of 64-128-128-10 at 2 rows is 1.05 times as fast with
// it.
template <class T, int R, int P>
[[gnu::noinline]] static void few_rows_panels(const Call& call, Finish finish, int64_t first) {
    constexpr int V = int(kPanel) / lanes<T>;
    const auto& [z, x, W, b, y] = reinterpret_cast<const Operand(&)[5]>(call.operand);
    const int64_t in = W.stride;
    const T* weight = static_cast<const T*>(W.data) + first * in * kPanel;
    const T* bias = b.data ? static_cast<const T*>(b.data) + first * kPanel : nullptr;
    Vec<T> sum[R][P][V];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v)
                sum[r][p][v] = bias ? load(bias + p * kPanel + v * lanes<T>) : Vec<T>{};
    for (int64_t begin = 0; begin < in; begin += kPanel) {
        const T* from = row_of<const T>(x, 0) + begin;
        const int64_t columns = panel_width(in, begin);
        for (int64_t k = 0; k < columns; ++k, weight += kPanel) {
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
    }
    const int64_t room = (z.width + 15) / 16 * 16 - first * kPanel;  // row buffers go up to there
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v)
                if (p * kPanel + v * lanes<T> < room) {
                    const int64_t column = (first + p) * kPanel + v * lanes<T>;
                    Vec<T> found = sum[r][p][v];
                    if (finish == Finish::relu) found = larger(zero<T>(), found);
                    if (finish == Finish::gated)
                        found = select(load(row_of<const T>(y, r) + column) > zero<T>(), found, zero<T>());
                    store(row_of<T>(z, r) + column, found);
                }
}

template <class T, int R, int P = kPanelsAtOnce<T, R>>
ONEFOLD_INLINE void few_rows_from(const Call& call, Finish finish, int64_t first, int64_t panels) {
    for (; panels >= P; first += P, panels -= P) few_rows_panels<T, R, P>(call, finish, first);
    if constexpr (P > 1)
        if (panels > 0) few_rows_from<T, R, P == 3 ? 2 : P / 2>(call, finish, first, panels);
}

template <class T>
[[gnu::noinline]] static void few_rows(const Call& call, Finish finish) {
    const int64_t panels = (call.operand[2].width + kPanel - 1) / kPanel;
    if constexpr (kPanelsAtOnce<T, 1> > 0)
        if (call.rows == 1) few_rows_from<T, 1>(call, finish, 0, panels);
    if constexpr (kPanelsAtOnce<T, 2> > 0)
        if (call.rows == 2) few_rows_from<T, 2>(call, finish, 0, panels);
}

// z = x W + b in register tiles; b may be absent.
template <class T>
[[gnu::noinline]] static void in_tiles(const Call& call, Finish finish) {
    const auto& [z, x, W, b, y] = reinterpret_cast<const Operand(&)[5]>(call.operand);
    const int64_t in = W.stride, out = W.width;
    const int64_t blocks = (in + kBlock - 1) / kBlock;
    for (int64_t p = 0, panels; p * kPanel < out; p += panels) {
        const int64_t left = out - p * kPanel;
        panels = panels_beside<T>(left);
        const int64_t width = left < panels * kPanel ? left : panels * kPanel;
        Tile<T> t;
        t.c = row_of<T>(z, 0) + p * kPanel;
        t.c_row = z.stride;
        t.a_row = x.stride;
        t.a_panel = x.panel;
        t.b_panel = in * kPanel;
        t.c_panel = z.panel;
        t.bias = b.data ? static_cast<const T*>(b.data) + p * kPanel : nullptr;
        for (int64_t block = 0; block < blocks; ++block) {
            const int64_t k0 = in * block / blocks / kPanel * kPanel;
            const int64_t k1 = block + 1 < blocks ? in * (block + 1) / blocks / kPanel * kPanel : in;
            t.a = row_of<const T>(x, 0) + k0;
            t.b = static_cast<const T*>(W.data) + (p * in + k0) * kPanel;
            t.count = k1 - k0;
            t.start = block > 0 ? Start::output : b.data ? Start::bias : Start::zero;
            t.finish = block + 1 < blocks ? Finish::plain : finish;
            t.streamed = call.streamed && block + 1 == blocks;
            t.later = call.later;
            t.later_begin = k0 * int64_t(sizeof(float));
            t.later_first = p;  // of every row one panel asks
            t.later_step = (out + kPanel - 1) / kPanel;
            if (t.finish == Finish::gated) {
                t.gate = row_of<const T>(y, 0) + p * kPanel;
                t.gate_row = y.stride;
                t.gate_panel = y.panel;
            }
            t.ahead_a = {};
            // The next block of these panels, or the first of those that follow.
            const T* b = t.b + t.count * kPanel + (block + 1 < blocks ? 0 : (panels - 1) * t.b_panel);
            t.ahead_b = {reinterpret_cast<const std::byte*>(b), kPanel * int64_t(sizeof(T))};
            if (x.stride == kPanel)
                panel<T, Layout::panels>(t, call.rows, width);
            else
                panel<T, Layout::rows>(t, call.rows, width);
        }
    }
}

// How many of so many columns are multiplied in tiles: not a few that are left over from a multiple of
// `beside` and would take a vector of their own, mostly padding.
ONEFOLD_INLINE int64_t without_few(int64_t columns, int64_t beside, int64_t rows) {
    const int64_t left = columns % beside;
    return left <= kNarrow && rows >= kNarrowRows ? columns - left : columns;
}

// The columns of the product from `first` on.
template <class T>
ONEFOLD_INLINE Call columns_from(const Call& call, int64_t first) {
    Call rest = call;
    auto& [z, x, W, b, y] = reinterpret_cast<Operand(&)[5]>(rest.operand);
    z.data = row_of<T>(z, 0) + first;
    if (y.data) y.data = row_of<T>(y, 0) + first;
    if (b.data) b.data = static_cast<T*>(b.data) + first;
    W.data = static_cast<T*>(W.data) + first / kPanel * W.stride * kPanel + first % kPanel;
    z.width -= first;
    W.width -= first;
    y.width -= first;
    return rest;
}

// The product in the form that suits its size.
template <class T>
ONEFOLD_INLINE void product(const Call& call, Finish finish) {
    const int64_t in = call.operand[2].stride, out = call.operand[2].width;
    if (call.rows <= 2 && kPanelsAtOnce<T, 1> >= call.rows) {
        few_rows<T>(call, finish);
        return;
    }
    if (in <= kNarrow) {
        with_columns(in, [&]<int N>(Columns<N>) { few_inputs<T, N>(call, finish); });
        return;
    }
    const int64_t whole = without_few(out, 2 * lanes<T>, call.rows);
    if (whole > 0) {
        Call tiled = call;
        tiled.operand[2].width = whole;
        in_tiles<T>(tiled, finish);
    }
    if (whole < out) {
        const Call rest = columns_from<T>(call, whole);
        with_columns(out - whole, [&]<int N>(Columns<N>) { narrow_forward<T, N>(rest, finish); });
    }
}

template <class T>
static void linear_forward(const Call& call) {
    product<T>(call, Finish::plain);
}

template <class T>
static void linear_forward_relu(const Call& call) {
    product<T>(call, Finish::relu);
}

// dx = dz W^T, with W transposed in panels: the forward product without a bias.
template <class T>
static void linear_backward(const Call& call) {
    product<T>(call, Finish::plain);
}

template <class T>
static void linear_backward_relu(const Call& call) {
    product<T>(call, Finish::gated);
}

// The gradient of R rows, few: a row of G at a time, without a register tile to fill and to store. (A batch
// of one row that is updated at once has its gradient made in the optimizer's step.) With one row 20-64-64-2:
// 0.92 -> 0.40 us of an update of 5.6; with two 64-128-128-10: 4.0 -> 2.2 us of 23.
template <class T, int R>
[[gnu::noinline]] static void few_rows_gradient(const Call& call) {
    constexpr int V = int(kPanel) / lanes<T>;
    const auto& [G, x, dz] = reinterpret_cast<const Operand(&)[3]>(call.operand);
    const int64_t in = G.stride, first = call.begin / in, begin = call.begin % in;
    const int64_t end = begin + call.end - call.begin;
    for (int64_t p = first; p < first + call.panels; ++p) {
        const int64_t width = panel_width(G.width, p * kPanel);
        Vec<T> right[R][V];
        IVec<T> used[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
            const int64_t left = width - v * lanes<T>, n = left < 0 ? 0 : left < lanes<T> ? left : lanes<T>;
            used[v] = first_lanes<T>(n);
#pragma GCC unroll 2
            for (int r = 0; r < R; ++r)
                right[r][v] =
                    n > 0 ? load_part(row_of<const T>(dz, r) + (p * kPanel + v * lanes<T>), n) : Vec<T>{};
        }
        T* c = static_cast<T*>(G.data) + (p * in + begin) * kPanel;
        for (int64_t i = begin; i < end; i += kPanel) {
            const T* a = row_of<const T>(x, 0) + i;
            const int64_t columns = panel_width(end, i);
            for (int64_t k = 0; k < columns; ++k, c += kPanel) {
                Vec<T> left[R];
#pragma GCC unroll 2
                for (int r = 0; r < R; ++r) left[r] = broadcast_bits(a[r * x.stride + k]);
#pragma GCC unroll 8
                for (int v = 0; v < V; ++v) {
                    Vec<T> sum = call.resume ? load(c + v * lanes<T>) : Vec<T>{};
#pragma GCC unroll 2
                    for (int r = 0; r < R; ++r) sum = fma(left[r], right[r][v], sum);
                    store(c + v * lanes<T>, select(used[v], sum, Vec<T>{}));
                }
            }
        }
    }
}

// The sums of V vectors of dz side by side, over rows.
template <class T, int V>
ONEFOLD_INLINE void sums_of_rows(T* out, const T* d, int64_t stride, int64_t rows) {
    Vec<T> sum[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[v] = load(out + v * lanes<T>);
    for (int64_t r = 0; r < rows; ++r, d += stride)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[v] = sum[v] + load(d + v * lanes<T>);
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(out + v * lanes<T>, sum[v]);
}

// The sums of a panel of dz over rows, from a column of it on that begins a vector; from its width on there
// is only the padding to be set to zero.
template <class T>
ONEFOLD_INLINE void panel_sums(const Call& call, const Operand& g, const Operand& dz, int64_t p,
                               int64_t from) {
    const int64_t width = panel_width(g.width, p * kPanel);
    T* out = static_cast<T*>(g.data) + p * kPanel;
    const T* d = row_of<const T>(dz, 0) + p * kPanel;
    if (!call.resume)
        for (int64_t c = from; c < kPanel; ++c) out[c] = T(0);
    if (width - from == kPanel)
        sums_of_rows<T, kPanel / lanes<T>>(out, d, dz.stride, call.rows);
    else
        for (int64_t c = from; c < width; c += lanes<T>)
            sums_of_rows<T, 1>(out + c, d + c, dz.stride, call.rows);
    for (int64_t c = width; c < kPanel; ++c) out[c] = T(0);
}

// A block of G: its panel rows [begin, end), where panel row p * in + i holds G[i, 32p .. 32p + 31],
// all of one panel, and the same rows of the panels that follow. `begin` is a multiple of 32 in its panel.
// Where the fourth operand, g, is given, the sums of these panels of dz are made too.
template <class T>
static void weight_gradient(const Call& call) {
    const auto& [G, x, dz, g] = reinterpret_cast<const Operand(&)[4]>(call.operand);
    const int64_t in = G.stride, out = G.width;
    if (call.rows <= 2) {
        call.rows == 1 ? few_rows_gradient<T, 1>(call) : few_rows_gradient<T, 2>(call);
        if (g.data != nullptr)
            for (int64_t p = 0; p < call.panels; ++p) panel_sums<T>(call, g, dz, call.begin / in + p, 0);
        return;
    }
    const int64_t blocks = (call.rows + kGradientBlock - 1) / kGradientBlock, size = sizeof(T);
    const int64_t first = call.begin / in, begin = call.begin % in, end = begin + call.end - call.begin;
    const int64_t whole = without_few(out, lanes<T>, call.rows);
    const bool has_rest = whole < out && first + call.panels == (out + kPanel - 1) / kPanel;
    const int64_t tiled = has_rest && whole % kPanel == 0 ? call.panels - 1 : call.panels;
    Tile<T> t;
    t.c_row = kPanel;
    t.a_row = 1;
    t.a_step = x.stride;
    t.b_step = dz.stride;
    t.b_panel = dz.panel;
    t.c_panel = in * kPanel;
    t.bias = nullptr;
    for (int64_t block = 0; block < blocks; ++block) {
        const int64_t r0 = call.rows * block / blocks, r1 = call.rows * (block + 1) / blocks;
        t.count = r1 - r0;
        t.start = block > 0 || call.resume ? Start::output : Start::zero;
        for (int64_t p = 0, panels; p < tiled; p += panels) {
            const int64_t from = (first + p) * kPanel;
            panels = tiled - p > 1 ? panels_beside<T>(whole - from) : 1;
            const int64_t width = whole - from < panels * kPanel ? whole - from : panels * kPanel;
            T* c = static_cast<T*>(G.data) + (from / kPanel * in + begin) * kPanel;
            // Asked for: this block of the next panels of both factors, after the last the next block of the
            // first, and in the end what the thread needs next.
            const bool last = p + panels == tiled;
            const T* b = row_of<const T>(dz, last ? r1 : r0) + (last ? first : first + p + panels) * kPanel;
            const bool ends = last && block + 1 == blocks && call.next[0] != nullptr;
            t.b = row_of<const T>(dz, r0) + from;
            t.ahead_b.at = ends ? call.next[1] : reinterpret_cast<const std::byte*>(b);
            const int64_t run = x.panel == kPanel ? end - begin : kPanel;  // columns side by side
            for (int64_t i = begin; i < end; i += run) {
                const bool turn = i + run >= end;
                const T* a = row_of<const T>(x, turn && last ? r1 : r0) + (turn ? begin : i + run);
                t.a = row_of<const T>(x, r0) + i;
                t.c = c + (i - begin) * kPanel;
                t.ahead_a = {turn && ends ? call.next[0] : reinterpret_cast<const std::byte*>(a),
                             x.stride * size};
                t.ahead_b.step = dz.stride * size * run / (end - begin);
                t.sums = g.data != nullptr && i == begin ? static_cast<T*>(g.data) + from : nullptr;
                panel<T, Layout::columns>(t, end - i < run ? end - i : run, width);
                t.ahead_b.at += t.ahead_b.step * t.count;
            }
            // Columns beyond the last one hold products of padding: in the end they are zero.
            if (width < panels * kPanel && whole == out && block + 1 == blocks) {
                T* beyond = c + (panels - 1) * t.c_panel;
                for (int64_t r = 0; r < end - begin; ++r)
                    for (int64_t j = width - (panels - 1) * kPanel; j < kPanel; ++j)
                        beyond[r * kPanel + j] = T(0);
            }
        }
    }
    // Columns that are left over have no tile.
    const int64_t last = (out - 1) / kPanel;
    if (g.data != nullptr && out % kPanel != 0 && first + call.panels > last)
        panel_sums<T>(call, g, dz, last, has_rest ? whole % kPanel : panel_width(out, last * kPanel));
    if (has_rest) {
        Call rest = call;
        rest.operand[0].data = static_cast<T*>(G.data) + whole / kPanel * in * kPanel + whole % kPanel;
        rest.operand[2].data = row_of<T>(dz, 0) + whole;
        rest.begin = begin;
        rest.end = end;
        with_columns(out - whole,
                     [&]<int N>(Columns<N>) { narrow_gradient<T, N>(rest, kPanel - whole % kPanel); });
    }
}

// A block of g, `panels` of them from `begin` on: sums of dz over rows, where no gradient of weights makes
// them (slopes of prelu).
template <class T>
static void column_sums(const Call& call) {
    const auto& [g, dz] = reinterpret_cast<const Operand(&)[2]>(call.operand);
    for (int64_t p = call.begin; p < call.begin + call.panels; ++p) panel_sums<T>(call, g, dz, p, 0);
}

// clang-format off
#define ONEFOLD_LINEAR_KERNELS(X) \
    X(linear_forward) X(linear_forward_relu) X(linear_backward) X(linear_backward_relu) \
    X(weight_gradient) X(column_sums)
// clang-format on

}  // namespace onefold::ONEFOLD_LEVEL
