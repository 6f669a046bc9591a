// What every kernel is given, and the table in which each instruction set lists its kernels.
//
// A kernel takes raw pointers and sizes: no Python, no allocation, no exceptions, no containers.
// Operands stand in the order outputs, then inputs, then parameters.
#pragma once

#include <cstddef>
#include <cstdint>

namespace onefold {

// Weights, gradients and optimizer state live in panels of this many columns, on every
// instruction set: element (i, j) of a matrix of `rows` rows stands at
// [(j / 32) * rows * 32 + i * 32 + j % 32]. Columns beyond the last one are zero.
inline constexpr int64_t kPanel = 32;

// One operand on one tile of rows: element (r, c) stands at
// data[c / 32 * panel + r * stride + c % 32]. Row buffers of more than one panel have a stride of 32, so
// that a panel's rows lie one after another; with a `panel` of 32 whole rows do, as in arrays of the user.
// For a parameter in panels, `stride` is its number of rows and `width` its number of columns.
struct Operand {
    void* data = nullptr;
    int64_t stride = 0;
    int64_t width = 0;
    int64_t panel = kPanel;
};

inline constexpr int kMaxOperands = 8;

// Operands of an update kernel whose gradient is that of a single row, and nobody has made it: x, absent
// where it is one for all (biases), and dz.
inline constexpr int kRowInputs = 6, kRowSlopes = 7;

struct Call {
    Operand operand[kMaxOperands];
    int64_t rows = 0;       // rows of this tile (row kernels) or of the micro-batch (column kernels)
    int64_t first_row = 0;  // position in the batch of the tile's first row
    const double* numbers = nullptr;  // attributes of the operation, or scalars of this update
    uint64_t seed = 0;
    uint32_t update = 0;  // number of the update since the network was made
    int64_t begin = 0;    // column and update kernels: the block of outputs to work on
    int64_t end = 0;
    int64_t panels = 1;               // column kernels: the block reaches over so many panels
    const uint32_t* order = nullptr;  // gather kernels: rows of the source, or null for rows in order
    bool resume = false;              // column kernels: continue the chain in the output (else start at zero)
    bool streamed = false;            // products and gather: outputs, at multiples of 64 bytes, go past the
                                      // caches, because other cores read them next (no bit depends on it)
    const std::byte* const* later = nullptr;  // products: for every row of x one that is gathered later, as
                                              // many float32, to be asked for meanwhile; or null
    const std::byte* next[2] = {};  // gradient of weights: where its x and dz begin for the block that this
                                    // thread makes next, to be asked for meanwhile; or null
};

using Kernel = void (*)(const Call&);

struct KernelEntry {
    const char* name;
    Kernel float32;
    Kernel float64;
};

struct KernelTable {
    const char* level;
    const KernelEntry* entries;
    size_t count;
};

template <class T>
[[gnu::always_inline]] static inline T* data(const Call& call, int i) {
    return static_cast<T*>(call.operand[i].data);
}

}  // namespace onefold
