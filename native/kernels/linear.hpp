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
// blocks of kBlock steps so that the panel's block stays in the first-level cache.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

inline constexpr int64_t kBlock = 256;

// How a tile's accumulators begin.
enum class Start { zero, bias, output };

// c[r, 0..C*lanes) (+)= sum over k of a[r * row_step + k * step] * b[k * b_stride + 0..C*lanes)
template <class T, int R, int C>
[[gnu::noinline]] static void tile(T* c, int64_t c_stride, const T* a, int64_t row_step, int64_t step,
                                   const T* b, int64_t b_stride, int64_t count, Start start,
                                   const T* bias) {
    Vec<T> sum[R][C];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v)
            sum[r][v] = start == Start::zero   ? Vec<T>{}
                        : start == Start::bias ? load(bias + v * lanes<T>)
                                               : load(c + r * c_stride + v * lanes<T>);
    for (int64_t k = 0; k < count; ++k) {
        Vec<T> right[C];
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v) right[v] = load(b + v * lanes<T>);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            const Vec<T> left = broadcast_bits(a[r * row_step]);
#pragma GCC unroll 8
            for (int v = 0; v < C; ++v) sum[r][v] = fma(left, right[v], sum[r][v]);
        }
        a += step;
        b += b_stride;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < C; ++v) store(c + r * c_stride + v * lanes<T>, sum[r][v]);
}

}  // namespace onefold::ONEFOLD_LEVEL
#define ONEFOLD_LINEAR_KERNELS(X)
