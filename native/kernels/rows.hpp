// Rows of operands whose columns may lie in panels.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

// One row. Vectors at multiples of their length, and squares of 16 columns, lie within one panel.
template <class T>
struct Row {
    T* first = nullptr;
    int64_t panel = kPanel;

    [[gnu::always_inline]] T* operator+(int64_t c) const {
        return first + int64_t(uint64_t(c) / kPanel) * panel + int64_t(uint64_t(c) % kPanel);
    }
    [[gnu::always_inline]] T& operator[](int64_t c) const { return *(*this + c); }
    [[gnu::always_inline]] explicit operator bool() const { return first != nullptr; }
};

template <class T>
[[gnu::always_inline]] static inline Row<T> row_of(const Operand& operand, int64_t r) {
    T* first = static_cast<T*>(operand.data);
    return {first == nullptr ? nullptr : first + r * operand.stride, operand.panel};
}

// Columns of the panel that begins at `first`.
ONEFOLD_INLINE int64_t panel_width(int64_t width, int64_t first) {
    return width - first < kPanel ? width - first : kPanel;
}

// So many numbers that are `stride` apart; the other lanes are zero.
template <class T>
ONEFOLD_INLINE Vec<T> load_apart(const T* from, int64_t stride, int64_t count) {
    alignas(64) T values[lanes<T>] = {};
    for (int64_t i = 0; i < count; ++i) values[i] = from[i * stride];
    return load(values);
}

template <class T>
ONEFOLD_INLINE void copy_part(T* to, const T* from, int64_t count) {
    for (; count >= lanes<T>; count -= lanes<T>, to += lanes<T>, from += lanes<T>) store(to, load(from));
    if (count > 0) store_part(to, load_part(from, count), count);
}

// Columns [at, at + count) of `from` into those of `to` from `c` on, wherever panels end.
template <class T>
ONEFOLD_INLINE void copy_columns(Row<T> to, int64_t c, Row<const T> from, int64_t at, int64_t count) {
    while (count > 0) {
        const int64_t room = kPanel - c % kPanel, there = kPanel - at % kPanel;
        int64_t part = room < there ? room : there;
        if (count < part) part = count;
        copy_part(to + c, from + at, part);
        c += part;
        at += part;
        count -= part;
    }
}

}  // namespace onefold::ONEFOLD_LEVEL
