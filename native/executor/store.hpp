// One array for every parameter of a network: its values, its gradients, or one state of an optimizer.
//
// Matrices stand one after another in panels (see kernel.hpp), so an element has the same place in
// every store of a network. Users see ordinary row-major arrays.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "executor/memory.hpp"

namespace onefold {

struct Matrix {
    int64_t rows = 0;
    int64_t columns = 0;
    int64_t offset = 0;  // in elements from the start of the store

    int64_t panels() const;
    int64_t panel_rows() const { return panels() * rows; }  // units that a task is made of
    int64_t elements() const;
};

class Store {
public:
    Store(const std::vector<std::pair<int64_t, int64_t>>& shapes, bool is_double);

    const std::vector<Matrix>& matrices() const { return matrices_; }
    bool is_double() const { return is_double_; }
    int64_t elements() const { return elements_; }
    int64_t bytes() const { return int64_t(memory_.size()); }
    std::byte* at(int64_t matrix) const;

    // Copies a matrix from or to a row-major array of the store's type.
    void set(int64_t matrix, const void* row_major);
    void get(int64_t matrix, void* row_major) const;
    void fill_zero();
    void copy_from(const Store& other);

    // Grows with every change from outside an executor, which then packs what it keeps anew.
    uint64_t version = 0;

private:
    template <class T, bool ToStore, class Other>
    void copy(int64_t matrix, Other* row_major) const;

    std::vector<Matrix> matrices_;
    int64_t elements_ = 0;
    bool is_double_;
    Memory memory_;
};

}  // namespace onefold
