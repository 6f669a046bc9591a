// What an executor runs: a list of stages of operations over planned buffers. Built in Python
// (onefold.program), which also knows what every operation means.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel.hpp"

namespace onefold {

// What an operand refers to; its index counts within the kind.
enum class Place : int { none, buffer, parameter, gradient, transposed, external };

// Arrays of the user that operations read or write directly.
enum External : int { kInputs, kTargets, kWeights, kOutput, kExternals };

struct Reference {
    Place place = Place::none;
    int index = 0;
};

struct Operation {
    std::string kernel;
    std::vector<Reference> operands;  // outputs, inputs, parameters
    std::vector<double> numbers;
    double cost = 0;        // floating-point operations for each row, or what takes their time
    int element_bytes = 0;  // set where operand 0 is not of the program's type (loss: float64)
};

// A buffer holds one value of every row: of the whole micro-batch where a later stage reads it,
// else of one tile of rows for each thread.
struct Buffer {
    bool whole_micro_batch = false;
    int64_t width = 0;
    int64_t stride = 0;      // in elements, as the next
    int64_t panel = kPanel;  // see Operand
    int64_t element_bytes = 4;
    int64_t offset = 0;  // in bytes, from the start of the micro-batch's or the thread's arena
};

// rows: tiles of rows in parallel, each carried through all operations of the stage.
// host: one call out of the executor with the whole micro-batch (a loss written in Python).
// columns: blocks of parameters in parallel, each continuing its chain over the micro-batch's rows.
enum class StageKind : int { rows, host, columns };

struct Stage {
    StageKind kind = StageKind::rows;
    std::vector<Operation> operations;
};

struct Program {
    bool is_double = false;
    std::vector<Buffer> buffers;
    std::vector<Stage> stages;
    std::vector<bool> transposed;  // for each parameter: whether a transposed copy is kept
    int loss_buffer = -1;          // float64, one a row; -1 when the program has no loss

    // The plan: how many rows at a time, and the bytes that takes.
    int64_t micro_batch = 1;
    int64_t row_tile = 48;
    int threads = 1;
    int64_t micro_batch_bytes = 0;
    int64_t tile_bytes = 0;  // for each thread
};

// How an update is made from the gradient.
struct UpdateRule {
    std::string kernel;
    std::vector<bool> decayed;  // for each parameter: whether weight decay applies to it
    double clip_value = 0;      // infinity: none
    double clip_norm = 0;       // infinity: none
    double scale = 1;           // of the mean gradient: what is minimised is the mean loss times this
};

}  // namespace onefold
