// Embedding: some columns of x hold codes of categories, and become rows of tables.
//
//   forward   y[r] = the other columns of x[r] in their order, then E[k][code(r, k)] for each table k
//   backward  dx[r, i] = dy[r, its place], and 0 where i holds codes
//   gradient  G[i, j] = d[r, j] + ... for r ascending over the rows whose code is i, starting at G (or 0)
//   are_codes out[0] = 1 where every code is a whole number from 0 up and below its count, else 0
//
// Shapes: x and dx (rows, in), y and dy (rows, out), codes int32 (rows, tables); E[k] and G (categories,
// size) in panels. The tables stand one after another from operand 3 on, as a store keeps them; d is the
// part of dy that belongs to the table.
// Writes by `=`; the gradient by `=`, or continuing the chains when call.resume. A code that is none is
// taken as the nearest that is one, so that no kernel reads or writes outside a table.
// Row buffers must be writable up to a multiple of 16 columns; zero is written there.
//
// numbers: forward   runs, (from, to, count) of each; tables, (column, to, categories, size) of each
//          backward  runs, (from, to, count) of each, as they were forward
//          gradient  the table's place among the codes, the first of its columns in dy
//          are_codes (column, count) of each, of which those from begin to end are checked
//
// The chain is that of a linear layer over one-hot rows, fma(1, d, c) where the row has the category and
// fma(0, d, c) elsewhere, and so are the bits.
// Cost: size operations for each row and table; each block of G reads all rows' codes.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

// Columns of x that stay side by side in y.
struct Runs {
    const double* first;
    int64_t count;
    explicit Runs(const Call& call) : first(call.numbers + 1), count(int64_t(call.numbers[0])) {}
    int64_t from(int64_t i) const { return int64_t(first[3 * i]); }
    int64_t to(int64_t i) const { return int64_t(first[3 * i + 1]); }
    int64_t width(int64_t i) const { return int64_t(first[3 * i + 2]); }
};

// Zeros in the vectors that reach beyond the last column of a row.
template <class T>
ONEFOLD_INLINE void clear_padding(Row<T> row, int64_t width) {
    for (int64_t c = width / lanes<T> * lanes<T>; c < (width + 15) / 16 * 16; c += lanes<T>)
        store(row + c, Vec<T>{});
}

template <class T>
ONEFOLD_INLINE int32_t code_of(T value, double categories) {
    if (!(value > T(0))) return 0;  // NaN too
    return value < T(categories) ? int32_t(value) : int32_t(categories) - 1;
}

template <class T>
static void embedding_forward(const Call& call) {
    const auto& [y, codes, x, tables] = reinterpret_cast<const Operand(&)[4]>(call.operand);
    const Runs runs(call);
    const double* numbers = runs.first + 3 * runs.count;
    const int64_t count = int64_t(*numbers++);
    for (int64_t r = 0; r < call.rows; ++r) {
        const Row<const T> from = row_of<const T>(x, r);
        const Row<T> to = row_of<T>(y, r);
        int32_t* code = static_cast<int32_t*>(codes.data) + r * codes.stride;
        clear_padding(to, y.width);
        for (int64_t i = 0; i < runs.count; ++i)
            copy_columns(to, runs.to(i), from, runs.from(i), runs.width(i));
        const T* table = static_cast<const T*>(tables.data);
        for (int64_t k = 0; k < count; ++k) {
            const double* of = numbers + 4 * k;
            const int64_t categories = int64_t(of[2]), size = int64_t(of[3]);
            code[k] = code_of(from[int64_t(of[0])], of[2]);
            const Row<const T> vector{table + code[k] * kPanel, categories * kPanel};
            copy_columns(to, int64_t(of[1]), vector, 0, size);
            table += (size + kPanel - 1) / kPanel * categories * kPanel;
        }
    }
}

template <class T>
static void embedding_backward(const Call& call) {
    const auto& [dx, dy] = reinterpret_cast<const Operand(&)[2]>(call.operand);
    const Runs runs(call);
    for (int64_t r = 0; r < call.rows; ++r) {
        const Row<T> to = row_of<T>(dx, r);
        const Row<const T> from = row_of<const T>(dy, r);
        for (int64_t c = 0; c < dx.width; c += lanes<T>) store(to + c, Vec<T>{});
        clear_padding(to, dx.width);
        for (int64_t i = 0; i < runs.count; ++i)
            copy_columns(to, runs.from(i), from, runs.to(i), runs.width(i));
    }
}

// A block of G: its panel rows [begin, end), all of one panel, and the same rows of the panels that follow.
template <class T>
static void embedding_gradient(const Call& call) {
    const auto& [G, codes, dy] = reinterpret_cast<const Operand(&)[3]>(call.operand);
    const int64_t categories = G.stride, first = call.begin / categories, begin = call.begin % categories;
    const uint64_t count = uint64_t(call.end - call.begin);
    T* block = static_cast<T*>(G.data) + call.begin * kPanel;
    if (!call.resume)
        for (int64_t p = 0; p < call.panels; ++p)
            memset(block + p * categories * kPanel, 0, count * kPanel * sizeof(T));
    const int32_t* code = static_cast<const int32_t*>(codes.data) + int64_t(call.numbers[0]);
    const int64_t at = int64_t(call.numbers[1]);
    alignas(64) T part[kPanel] = {};  // of a row of d: its panels end elsewhere
    for (int64_t r = 0; r < call.rows; ++r, code += codes.stride) {
        const uint64_t i = uint64_t(*code - begin);
        if (i >= count) continue;
        for (int64_t p = 0; p < call.panels; ++p) {
            T* to = block + (p * categories + int64_t(i)) * kPanel;
            const int64_t from = (first + p) * kPanel, width = panel_width(G.width, from);
            copy_columns(Row<T>{part}, 0, row_of<const T>(dy, r), at + from, width);
            for (int64_t c = 0; c < width; c += lanes<T>) {
                const int64_t n = width - c < lanes<T> ? width - c : lanes<T>;
                store(to + c, load(to + c) + load_part(part + c, n));
            }
        }
    }
}

template <class T>
static void are_codes(const Call& call) {
    const auto& [out, x] = reinterpret_cast<const Operand(&)[2]>(call.operand);
    bool all = true;
    for (int64_t k = call.begin; k < call.end; ++k) {
        const T* value = static_cast<const T*>(x.data) + int64_t(call.numbers[2 * k]);
        const T limit = T(call.numbers[2 * k + 1]);
        for (int64_t r = 0; r < call.rows; ++r, value += x.stride)
            all = all && *value >= T(0) && *value < limit && T(int32_t(*value)) == *value;
    }
    *static_cast<double*>(out.data) = all ? 1 : 0;
}

// clang-format off
#define ONEFOLD_EMBEDDING_KERNELS(X) \
    X(embedding_forward) X(embedding_backward) X(embedding_gradient) X(are_codes)
// clang-format on

}  // namespace onefold::ONEFOLD_LEVEL
