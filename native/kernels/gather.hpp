// Copies between a user's array and row buffers: rows of the source in the order of the data.
//
//   gather   out[r, c] = T(source[order[r], c]), or source[r, c] where order is null. Where the type stays
//   and
//            a third operand is given (float64), it becomes 0 unless all that was copied is finite
//   scatter  out[r, c] = x[r, c]
//   within   out[0] = 1 where |source[r, c]| <= numbers[0] everywhere (so nothing is NaN), else 0
//   add      out[r, c] = a[r, c] + b[r, c]: gradients of a value that two operations read, in that order
//
// Shapes: out (rows, width), source (any rows, width), whole rows at its own stride. Writes by `=`. The
// conversion rounds once (float64 to float32) or not at all; class labels stay integers.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

// Asks for the rows that are read soon: the hardware does so only up to the end of a page, and does
// not know an order. 8-1 at 1,000 rows in sequence: 4.9 -> 1.9 us. Further ahead, 8 to 32 kB, was not faster:
// updates of 5000-64-10 at 256 rows 0.99 to 1.00 times as fast, of 8-1 0.93 to 1.01. Wide rows that no cache
// holds are asked for a tile ahead, while the product of this one runs (Call::later): on two Zen 4 cores the
// gather of 5000-64-10 takes 155 instead of 260 us, and its updates are 1.04 to 1.09 times as fast
// (AVX2 1.05), those of 784-512-512-10 1.01.
// Between the panels that are copied, and not a whole row at once, which waits until earlier requests are
// answered: on two Zen 3 cores the gather of 1000-1 at 1,000 rows takes 265 instead of 400 us, where to read
// the rows takes 210, and updates are so many times as fast: 1000-1 1.17, 784-10 at 128 rows 1.03, 5000-64-10
// and 784-512-512-10 1.00 to 1.07, others within the noise. Lost there: asking for the next tile's rows
// during a product of one column, for all of them or half (1.00): what the gather gains the product loses;
// inputs in order read where they lie by a layer of one output, with later rows asked for (updates of 1000-1
// 0.92 to 1.04 times as fast, products that wait for 32 rows side by side instead of a gather that reads one
// after another).
//
// Values looked through while they are gathered, instead of in a pass of its own (`within`), there: runs of
// one epoch 1000-1 1.48, 784-10 1.28, 8-1 1.20, 5000-64-10 1.07 times as fast, predictions of 40 to 240 MB
// 1000-1 1.45, 784-10 1.3 to 1.6, 8-1 1.1 to 1.3, 5000-64-10 1.14 to 1.25, 784-128-10 1.1 to 1.2. Lost: that
// pass over pieces of 4 MB which are predicted at once, while the last cache holds them (0.82 to 1.05).
template <class From>
struct Ahead {
    const char* source;
    const uint32_t* order;
    int64_t rows, row_bytes, stride_bytes, distance;
    Ahead(const Call& call, int64_t first, int64_t columns)
        : source(static_cast<const char*>(call.operand[1].data) + first * int64_t(sizeof(From))),
          order(call.order),
          rows(call.rows),
          row_bytes(columns * int64_t(sizeof(From))),
          stride_bytes(call.operand[1].stride * int64_t(sizeof(From))),
          distance((call.order ? 1024 : 4096) / (row_bytes + 1) + 1) {}

    // The row that is asked for while row r is copied; null where there is none.
    [[gnu::always_inline]] const char* row(int64_t r) const {
        if (order && r + distance >= rows) return nullptr;
        return source + (order ? int64_t(order[r + distance]) : r + distance) * stride_bytes;
    }
    // The lines that begin in bytes [begin, end) of it.
    [[gnu::always_inline]] static void ask(const char* row, int64_t begin, int64_t end) {
        if (row == nullptr) return;
        for (int64_t b = (begin + 63) / 64 * 64; b < end; b += 64) __builtin_prefetch(row + b);
    }
};

// Columns that are gathered at a time: of wider rows, the panels would be too many places to write to.
inline constexpr int64_t kGathered = 32 * kPanel;

// Lanes of x that are beyond a limit, or are not numbers.
template <class T>
ONEFOLD_INLINE IVec<T> beyond(Vec<T> x, T limit) {
    return ~(abs(x) <= broadcast(limit));
}

// Writes 0 where any lane is set.
template <class T>
ONEFOLD_INLINE void refuse_any(IVec<T> outside, double* fine) {
    for (int i = 0; i < lanes<T>; ++i)
        if (outside[i] != 0) *fine = 0;
}

// Passes values through, and may remember whether all of them were finite.
struct NoLook {
    template <class V>
    [[gnu::always_inline]] V operator()(V values) const {
        return values;
    }
    void tell(double*) const {}
};
template <class T>
struct LookForFinite {
    static constexpr T limit = std::numeric_limits<T>::max();
    IVec<T> outside = {};
    [[gnu::always_inline]] Vec<T> operator()(Vec<T> values) {
        outside = outside | beyond<T>(values, limit);
        return values;
    }
    [[gnu::always_inline]] T operator()(T value) {
        if (!(value <= limit && value >= -limit)) outside = ~IVec<T>{};
        return value;
    }
    void tell(double* fine) const { refuse_any<T>(outside, fine); }
};

template <class From, class To, class Look = NoLook>
ONEFOLD_INLINE void gather_rows(const Call& call) {
    const int64_t width = call.operand[0].width;
    Look look;
    if (width == 1) {
        const auto& [out, source] = reinterpret_cast<const Operand(&)[2]>(call.operand);
        for (int64_t r = 0; r < call.rows; ++r)
            static_cast<To*>(out.data)[r * out.stride] = look(To(static_cast<const From*>(
                source.data)[(call.order ? int64_t(call.order[r]) : r) * source.stride]));
        look.tell(data<double>(call, 2));
        return;
    }
    constexpr bool same = std::is_same_v<From, To> && std::is_floating_point_v<To>;
    if constexpr (same)
        if (width <= lanes<To>) {
            const Ahead<From> ahead(call, 0, width);
            for (int64_t r = 0; r < call.rows; ++r) {
                const int64_t row = call.order ? int64_t(call.order[r]) : r;
                ahead.ask(ahead.row(r), 0, ahead.row_bytes);
                store(data<To>(call, 0) + r * call.operand[0].stride,
                      look(load_part(data<const From>(call, 1) + row * call.operand[1].stride, width)));
            }
            look.tell(data<double>(call, 2));
            return;
        }
    for (int64_t begin = 0; begin < width; begin += kGathered) {
        const int64_t end = width - begin < kGathered ? width : begin + kGathered;
        const Ahead<From> ahead(call, begin, end - begin);
        for (int64_t r = 0; r < call.rows; ++r) {
            const int64_t row = call.order ? int64_t(call.order[r]) : r;
            const char* later = ahead.row(r);
            const Row<To> out = row_of<To>(call.operand[0], r);
            const From* source = data<const From>(call, 1) + row * call.operand[1].stride;
            for (int64_t first = begin; first < end; first += kPanel) {
                const int64_t columns = panel_width(end, first);
                const int64_t asked = (first - begin) * int64_t(sizeof(From));
                ahead.ask(later, asked, asked + columns * int64_t(sizeof(From)));
                To* to = out + first;
                const From* from = source + first;
                if constexpr (same) {
                    int64_t c = 0;
                    for (; c + lanes<To> <= columns; c += lanes<To>) {
                        const Vec<To> values = look(load(from + c));
                        call.streamed ? stream(to + c, values) : store(to + c, values);
                    }
                    if (c < columns) store(to + c, look(load_part(from + c, columns - c)));
                } else {
                    for (int64_t c = 0; c < columns; ++c) to[c] = To(from[c]);
                }
            }
        }
    }
    look.tell(data<double>(call, 2));
}

// Of an array of the user in one of the types that networks have.
template <class From, class T>
ONEFOLD_INLINE void gather_floats(const Call& call) {
    if constexpr (std::is_same_v<From, T>)
        if (call.operand[2].data != nullptr) return gather_rows<From, T, LookForFinite<T>>(call);
    gather_rows<From, T>(call);
}

template <class T>
static void gather_float32(const Call& call) {
    gather_floats<float, T>(call);
}

template <class T>
static void gather_float64(const Call& call) {
    gather_floats<double, T>(call);
}

template <class T>
static void gather_uint8(const Call& call) {
    gather_rows<uint8_t, T>(call);
}

template <class T>
static void gather_labels(const Call& call) {
    gather_rows<int32_t, int32_t>(call);
}

template <class T>
static void scatter(const Call& call) {
    const auto& [out, x] = reinterpret_cast<const Operand(&)[2]>(call.operand);
    for (int64_t r = 0; r < call.rows; ++r)
        for (int64_t first = 0; first < out.width; first += kPanel)
            memcpy(row_of<T>(out, r) + first, row_of<const T>(x, r) + first,
                   size_t(panel_width(out.width, first)) * sizeof(T));
}

template <class T>
static void within(const Call& call) {
    const int64_t width = call.operand[1].width;
    const T limit = T(call.numbers[0]);
    IVec<T> outside = {};
    for (int64_t r = 0; r < call.rows; ++r) {
        const T* x = data<const T>(call, 1) + r * call.operand[1].stride;
        int64_t c = 0;
        for (; c + lanes<T> <= width; c += lanes<T>) {
            __builtin_prefetch(x + c + 4096 / sizeof(T));
            outside = outside | beyond<T>(load(x + c), limit);
        }
        if (c < width) outside = outside | beyond<T>(load_part(x + c, width - c), limit);
    }
    *data<double>(call, 0) = 1;
    refuse_any<T>(outside, data<double>(call, 0));
}

template <class T>
static void add(const Call& call) {
    map2<T>(call, [](Vec<T> a, Vec<T> b) __attribute__((always_inline)) { return a + b; });
}

// clang-format off
#define ONEFOLD_GATHER_KERNELS(X) \
    X(gather_float32) X(gather_float64) X(gather_uint8) X(gather_labels) X(scatter) X(within) \
    X(add)
// clang-format on

}  // namespace onefold::ONEFOLD_LEVEL
