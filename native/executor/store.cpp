#include "executor/store.hpp"

#include <cstring>

#include "kernel.hpp"

namespace onefold {

int64_t Matrix::panels() const {
    return (columns + kPanel - 1) / kPanel;
}

int64_t Matrix::elements() const {
    return panel_rows() * kPanel;
}

Store::Store(const std::vector<std::pair<int64_t, int64_t>>& shapes, bool is_double) : is_double_(is_double) {
    for (const auto& [rows, columns] : shapes) {
        matrices_.push_back({rows, columns, elements_});
        elements_ += matrices_.back().elements();
    }
    memory_ = Memory(size_t(elements_) * (is_double ? 8 : 4));
}

std::byte* Store::at(int64_t matrix) const {
    return memory_.data() + matrices_[size_t(matrix)].offset * (is_double_ ? 8 : 4);
}

template <class T, bool ToStore, class Other>
void Store::copy(int64_t matrix, Other* row_major) const {
    const Matrix& m = matrices_[size_t(matrix)];
    T* panels = reinterpret_cast<T*>(at(matrix));
    for (int64_t p = 0; p < m.panels(); ++p) {
        const int64_t first = p * kPanel;
        const int64_t width = m.columns - first < kPanel ? m.columns - first : kPanel;
        for (int64_t i = 0; i < m.rows; ++i) {
            T* inside = panels + (p * m.rows + i) * kPanel;
            auto* outside = row_major + i * m.columns + first;
            if constexpr (ToStore)
                memcpy(inside, outside, size_t(width) * sizeof(T));
            else
                memcpy(outside, inside, size_t(width) * sizeof(T));
        }
    }
}

void Store::set(int64_t matrix, const void* row_major) {
    if (is_double_)
        copy<double, true>(matrix, static_cast<const double*>(row_major));
    else
        copy<float, true>(matrix, static_cast<const float*>(row_major));
    ++version;
}

void Store::get(int64_t matrix, void* row_major) const {
    if (is_double_)
        copy<double, false>(matrix, static_cast<double*>(row_major));
    else
        copy<float, false>(matrix, static_cast<float*>(row_major));
}

void Store::fill_zero() {
    if (memory_.size() > 0) memset(memory_.data(), 0, memory_.size());
    ++version;
}

void Store::copy_from(const Store& other) {
    if (memory_.size() > 0) memcpy(memory_.data(), other.memory_.data(), memory_.size());
    ++version;
}

}  // namespace onefold
