// Weights for the backward product: Wt, in panels of its own, from W.
//
// Shapes: W (in, out) and Wt (out, in), both in panels.
// Writes by `=`. Cost: a read and a write of each weight; for each vector of float32 with AVX-512 four
// shuffles, in whole squares three insertions and two shuffles, with AVX2 three shuffles.
//
// A weight of 64-64 and one of 64-2 on a Granite Rapids core: 0.44 us with four shuffles for each vector,
// 0.31 with insertions instead of two of them. With AVX2, where a vector takes one insertion and two shuffles
// instead of three, that lost (0.40 and 0.45 us).
#pragma once

namespace onefold::ONEFOLD_LEVEL {

// A square of 32 by 32 between panels, in squares of one vector turned in registers, or, where it is whole
// and vectors are long, in strips of 16 bytes of each of a vector's rows. Of W there may be fewer rows, the
// others being zero, and fewer columns. Such squares copied one number at a time: an update of 33-77-51-3 at
// 50 rows 19.0 instead of 18.1 us (Granite Rapids).
template <class T, bool Streamed, bool Whole>
ONEFOLD_INLINE void transpose_square(T* to, const T* from, int64_t rows, int64_t columns) {
    if constexpr (Whole && kHeads > 2) {
        for (int j = 0; j < kPanel; j += kHeadColumns<T>)
            for (int i = 0; i < kPanel; i += lanes<T>) {
                Vec<T> column[kHeadColumns<T>];
                load_turned<T>(column, from + i * kPanel + j, kPanel);
#pragma GCC unroll 4
                for (int c = 0; c < kHeadColumns<T>; ++c) {
                    T* there = to + (j + c) * kPanel + i;
                    Streamed ? stream(there, column[c]) : store(there, column[c]);
                }
            }
        return;
    }
    for (int j = 0; j < kPanel && (Whole || j < columns); j += lanes<T>)
        for (int i = 0; i < kPanel; i += lanes<T>) {
            Vec<T> row[lanes<T>];
#pragma GCC unroll 16
            for (int r = 0; r < lanes<T>; ++r)
                row[r] = Whole || i + r < rows ? load(from + (i + r) * kPanel + j) : Vec<T>{};
            turn<T>(row);
#pragma GCC unroll 16
            for (int r = 0; r < lanes<T>; ++r) {
                if (!Whole && j + r >= columns) break;
                T* there = to + (j + r) * kPanel + i;
                Streamed ? stream(there, row[r]) : store(there, row[r]);
            }
        }
}

// Of W: fewer columns than these are copied one number at a time.
inline constexpr int64_t kTurnedColumns = 8;

// The panel rows [begin, end) of W, which stand at `from`, to where Wt has them.
template <class T, bool Streamed>
ONEFOLD_INLINE void transpose_rows(const Call& call, const T* from) {
    const auto& [Wt, W] = reinterpret_cast<const Operand(&)[2]>(call.operand);
    const int64_t in = W.stride, out = W.width;
    for (int64_t first = call.begin; first < call.end;) {
        const int64_t p = first / in, i0 = first % in;
        int64_t count = kPanel - i0 % kPanel;  // up to the end of one panel of Wt
        if (count > in - i0) count = in - i0;
        if (count > call.end - first) count = call.end - first;
        const int64_t width = panel_width(out, p * kPanel);
        const bool to_the_end = i0 % kPanel == 0 && (count == kPanel || count == in - i0);
        T* to = static_cast<T*>(Wt.data) + (i0 / kPanel * out + p * kPanel) * kPanel + i0 % kPanel;
        if (count == kPanel && width == kPanel)
            transpose_square<T, Streamed, true>(to, from, count, width);
        else if (to_the_end && width >= kTurnedColumns)
            transpose_square<T, Streamed, false>(to, from, count, width);
        else
            for (int64_t j = 0; j < width; ++j)
                for (int64_t i = 0; i < count; ++i) to[j * kPanel + i] = from[i * kPanel + j];
        first += count;
        from += count * kPanel;
    }
}

// Wt = W transposed, for panel rows [begin, end) of W (in, out): Wt is (out, in) in panels.
template <class T>
static void transpose(const Call& call) {
    transpose_rows<T, false>(call, data<const T>(call, 1) + call.begin * kPanel);
}

// Operands: Wt (may be absent), W, and panel rows [begin, end) of W as they shall be. They go past the caches
// to both: other cores, which have read what was there, read it next.
template <class T>
static void stream_weights(const Call& call) {
    const T* fresh = data<const T>(call, 2);
    T* to = data<T>(call, 1) + call.begin * kPanel;
    for (int64_t i = 0; i < (call.end - call.begin) * kPanel; i += lanes<T>) stream(to + i, load(fresh + i));
    if (data<T>(call, 0) != nullptr) transpose_rows<T, true>(call, fresh);
}

// clang-format off
#define ONEFOLD_TRANSPOSE_KERNELS(X) X(transpose) X(stream_weights)
// clang-format on

}  // namespace onefold::ONEFOLD_LEVEL
