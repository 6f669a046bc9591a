// Runs a program: micro-batch by micro-batch, stage by stage, and the updates between.
//
//     for each micro-batch of the batch, rows in order:
//         rows       tiles of rows in parallel, depth first through the stage's operations
//         columns    blocks of parameters in parallel, each continuing its chain
//     update         divide, clip, optimizer, transposed copies: blocks in parallel; fused with the
//                    columns of the last micro-batch unless the norm of the whole gradient is needed
//
// Threads split outputs, never a chain, and rows are independent in a row stage: so neither the
// micro-batch, nor the row tile, nor the threads can be seen in a result.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "executor/dispatch.hpp"
#include "executor/memory.hpp"
#include "executor/mode_choice.hpp"
#include "executor/program.hpp"
#include "executor/row_window.hpp"
#include "executor/store.hpp"
#include "executor/thread_pool.hpp"

namespace onefold {

// Blocks of the update and of the norm, in panel rows. The norm adds them in order, so this is part
// of the arithmetic.
inline constexpr int64_t kUpdateRows = 256;

inline constexpr double kOperationsPerElement = 20;  // of an update, as threads count them

// Of a task that stores past the caches, at its end.
inline void order_streamed_stores() {
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}

// An array of the user: rows at a stride, in one of the types that have a gather kernel.
struct Source {
    const void* data = nullptr;
    int64_t stride = 0;  // in elements
    int64_t element_bytes = 0;
    std::string gather;  // name of the kernel that reads it
};

struct Data {
    Source inputs, targets, weights;
    const uint32_t* order = nullptr;  // the epoch's order of rows; null: as they stand
    int64_t rows = 0;
};

struct Totals {
    double loss = 0;    // sum of weight * loss, one chain over the rows
    double weight = 0;  // sum of weights, likewise
};

inline int64_t blocks_of(int64_t n, int64_t size) {
    return (n + size - 1) / size;
}

enum class Outcome : int { done, time_up, not_finite };

class Executor {
public:
    using Poll = std::function<void()>;  // may throw
    using Host = std::function<void(int64_t rows, int64_t first_row, const std::vector<Operand>&)>;

    // `gradient` may be null for a program without columns.
    Executor(Program program, std::shared_ptr<Store> parameters, std::shared_ptr<Store> gradient,
             uint64_t seed);

    // How updates are made; states as many as the rule's kernel has.
    void set_update_rule(UpdateRule rule, std::vector<std::shared_ptr<Store>> states);

    Poll poll;  // called every 50 ms or so, between micro-batches
    Host host;  // runs host stages
    // How updates run; else as is fastest.
    std::optional<Mode> mode;
    // Inputs that are in a file are read so many rows at a time, at least a micro-batch.
    int64_t window_rows = 0;

    // Whether inputs of the program's type are looked through while they are gathered.
    void watch_inputs(bool on);
    // Whether those that were gathered since then are all finite.
    bool inputs_finite() const;

    struct Updates {
        int64_t batch_size = 1;
        int64_t first_batch = 0;          // in the epoch
        int64_t count = 0;                // updates wanted
        uint32_t first_update = 0;        // in the life of the network
        const double* scalars = nullptr;  // (count, scalar_count): learning rate, decay, ...
        int64_t scalar_count = 0;
        double* record = nullptr;  // (count, record_count), filled for every update: the batch's total
                                   // loss, its weight, and weight_squares() before the update
        int64_t record_count = 0;  // 2, or 3 with the squares
        double seconds = 0;        // return after the update in which this time is up
    };
    struct Result {
        Outcome outcome = Outcome::done;
        int64_t updates = 0;
        Totals last;  // of the last batch
    };
    // Batches one after another, an update after each. `totals` is continued over all of them.
    // An exception (of poll or host) that comes after a finished update is kept for the next call,
    // so that the caller hears of every update.
    Result train(const Data& data, const Updates& updates, Totals& totals);

    // From poll: give up the batch at hand; train() returns as if the time were up.
    void stop() { stop_ = true; }

    // Gradient accumulation by hand: begin, add pieces, then finish or read the gradient.
    void begin(uint32_t update);
    void add(const Data& data);
    const Totals& accumulated() const { return batch_; }
    bool finish(const double* scalars, int64_t scalar_count);

    // Programs without columns: `width` outputs of every row into `out` (row-major), or the loss. forward()
    // may watch the inputs meanwhile; true where they are finite, or nobody looked.
    bool forward(const Data& data, void* out, int64_t width, bool watched);
    Totals evaluate(const Data& data);

    // Where the time goes: seconds of all threads by kernel, since profiling was switched on. Two
    // readings of the clock around every call of a kernel, so only for looking.
    void set_profiling(bool on);
    std::vector<std::pair<std::string, double>> profile() const;

    int threads() const { return program_.threads; }
    int64_t bytes() const;  // of the arenas and transposed copies
    double gradient_norm();
    // Sum of the squares of the parameters that decay, in a fixed order.
    double weight_squares();

private:
    // A block of a gradient: panel rows [begin, end), all in one panel, and the same rows of the panels that
    // follow. A task is one thread's, so its call can be filled in where it stands.
    struct Task {
        const Operation* operation;
        Kernel kernel;
        Call call;
        int bias = -1;           // whose gradient it makes too, for the same panels; -1: none
        Call used_up = {};       // the same block, made in the thread's room and used up at once
        int64_t in_page = 0;     // where it begins there, in bytes
        int64_t room_bytes = 0;  // that it takes; 0: it is no gradient of weights
    };
    // An operand that lies elsewhere for every tile: in a buffer of the micro-batch, or in the user's arrays.
    struct Moving {
        int operand;
        int external;  // which of the user's arrays; -1: a buffer
        std::byte* base;
        int64_t row_bytes;
    };
    // An array of the user, as the data at hand have it.
    struct External {
        std::byte* base = nullptr;
        int64_t row_bytes = 0;  // 0 where rows come in an order
        int64_t stride = 0;
        std::string gather;  // the kernel that reads it
        Kernel kernel = nullptr;
    };
    // An operation on a tile of rows, of one thread.
    struct RowCall {
        const Operation* operation;
        Kernel kernel;  // null: the one that gathers this array of the user
        int gathered;
        Call call;
        Moving moving[kMaxOperands] = {};
        int count = 0;        // of what moves
        bool shared = false;  // whether other threads read what it writes
        bool asks = false;    // a product of gathered inputs, during which later ones are asked for
    };
    // Of a block: the sums, or where nobody has made them, x (biases: none) and dz of the only row.
    struct Gradient {
        std::byte* sums;
        Operand x = {}, dz = {};
    };
    struct Block {
        int parameter;
        int64_t begin, end;
    };
    struct Size {
        bool shared, small;
    };

    void look(bool on);
    void run_kernel(Kernel kernel, const Call& call, const std::string& name, int worker);
    // What is found once, or for each call with data (binding.cpp).
    void bind();
    Call call_of(const Operation& operation, int worker) const;
    RowCall row_call(const Operation& operation, Kernel kernel, int worker) const;
    void add_tasks(const Operation& operation, Kernel kernel, std::vector<Task>& tasks) const;
    void set_used_up(Task& task) const;
    void find_rooms();
    std::pair<int64_t, int64_t> block_of(const Matrix& matrix, double operations) const;
    std::pair<int64_t, int64_t> looked_up_block_of(const Matrix& matrix) const;
    Operand operand_of(const Reference& reference, int worker) const;
    void set_data(const Data& data, bool continued = false);
    const Source& source_of(int external) const;
    std::vector<RowCall>& row_calls(size_t stage, int worker) {
        return row_calls_[stage * size_t(program_.threads) + size_t(worker)];
    }
    const std::byte* const* rows_after(int64_t first, int64_t rows, int64_t tile, int64_t tiles, int threads,
                                       int worker);
    const Call& moved(RowCall& row_call, int64_t first, int64_t row, int64_t rows, bool streamed) const;
    int64_t panel_row_bytes() const { return kPanel * (program_.is_double ? 8 : 4); }
    int threads_for(double operations) const;
    double update_cost() const { return kOperationsPerElement * double(parameters_->elements()); }
    bool streams(int threads) const { return running_ == Mode::streamed && threads > 1; }
    Size size_of(int64_t rows) const;
    void poll_if_due();

    void begin_batch(uint32_t update);
    bool micro_batches(int64_t first, int64_t rows, const double* scalars, int64_t scalar_count);
    void row_stage(size_t stage, int64_t first, int64_t rows);
    void host_stage(size_t stage, int64_t rows);
    void column_stage(size_t stage, int64_t rows, bool fuse);
    void add_totals(int64_t first, int64_t rows);

    // The update (update.cpp).
    double reciprocal() const;
    double sum_of_squares(const Store& store, double factor, bool decayed_alone);
    void prepare_update(const double* scalars, int64_t scalar_count, double factor);
    bool update_stage(const double* scalars, int64_t scalar_count);
    void update_block(int parameter, int64_t begin, int64_t end, const Gradient& gradient, int worker,
                      bool streamed);
    void update_from_row(const Task& task, int worker, bool streamed);
    void stream_update(int parameter, const Call& call, int64_t begin, int64_t end, int worker);
    void transpose_block(int parameter, int64_t begin, int64_t end, int worker);
    void refresh_transposed();
    void updated();

    Program program_;
    std::shared_ptr<Store> parameters_, gradient_;
    uint64_t seed_;
    std::mutex mutex_;  // one caller at a time; others wait

    Memory micro_batch_arena_;
    std::vector<Memory> tile_arenas_;  // one a thread
    std::vector<Memory> transposed_;   // one a parameter, empty where none is kept
    uint64_t packed_version_ = ~uint64_t(0);
    Memory norm_blocks_;
    RowWindow window_;

    std::vector<std::vector<RowCall>> row_calls_;       // of every stage and thread
    std::vector<std::vector<const std::byte*>> later_;  // of every thread: rows to be asked for
    std::vector<std::vector<Task>> column_tasks_;       // of every stage
    std::vector<std::byte*> rooms_;                     // of every thread; empty: there are none
    std::vector<Call> update_calls_, transpose_calls_;  // of every thread and parameter
    std::vector<Block> blocks_;                         // of the update
    Kernel transpose_ = nullptr, stream_weights_ = nullptr, squared_norm_ = nullptr, update_ = nullptr;
    double row_cost_ = 0, column_cost_ = 0;               // operations for each row
    std::vector<std::map<std::string, double>> seconds_;  // of every thread; empty: no profiling

    UpdateRule rule_;
    std::vector<std::shared_ptr<Store>> states_;
    std::vector<double> update_numbers_[2];  // without and with weight decay

    // The batch at hand.
    Data data_;
    External externals_[kExternals];
    void* output_ = nullptr;
    int64_t output_width_ = 0;
    uint32_t update_number_ = 0;
    int64_t batch_row_ = 0;  // rows of the batch before this micro-batch
    bool started_ = false;   // whether the gradient's chains have begun
    Totals batch_;
    std::atomic<bool> stop_{false};
    std::exception_ptr pending_;
    std::chrono::steady_clock::time_point last_poll_;
    ModeChoice choice_;
    Mode running_ = Mode::cached;  // of the update that runs, or of what else does
    std::vector<double> finite_;   // of every thread: 0 once it has gathered an input that is not
    bool asking_ = false;          // whether inputs are so wide, and so many, that they are asked for
};

}  // namespace onefold
