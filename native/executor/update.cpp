// How an executor makes updates: divide, clip, optimizer, transposed copies.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "executor/executor.hpp"

namespace onefold {

namespace {

// Panel rows that are updated before they go past the caches: 8 kB of float32.
constexpr int64_t kFreshRows = 64;

}  // namespace

// The numbers of the update kernel: reciprocal of the weights, factor of the clipped norm, clip
// value, then the optimizer's own: learning rate, weight decay, ...
void Executor::prepare_update(const double* scalars, int64_t scalar_count, double factor) {
    for (int decayed = 0; decayed < 2; ++decayed) {
        auto& numbers = update_numbers_[decayed];
        numbers.assign({reciprocal(), factor, rule_.clip_value});
        numbers.insert(numbers.end(), scalars, scalars + scalar_count);
        if (!decayed) numbers[4] = 0;
    }
}

// A batch without weight has no gradient: the sums are all zero, and so is the update's.
double Executor::reciprocal() const {
    return batch_.weight > 0 ? rule_.scale / batch_.weight : 0;
}

// Panel rows [begin, end) of a parameter.
void Executor::update_block(int parameter, int64_t begin, int64_t end, const Gradient& gradient, int worker,
                            bool streamed) {
    const Matrix& matrix = parameters_->matrices()[size_t(parameter)];
    Call& call = update_calls_[size_t(worker) * parameters_->matrices().size() + size_t(parameter)];
    call.operand[2].data = gradient.sums - begin * panel_row_bytes();
    call.operand[kRowInputs] = gradient.x;
    call.operand[kRowSlopes] = gradient.dz;
    call.numbers = update_numbers_[rule_.decayed[size_t(parameter)] ? 1 : 0].data();
    const bool narrow = matrix.columns % kPanel != 0;  // the last panel
    const int64_t last = narrow ? std::clamp((matrix.panels() - 1) * matrix.rows, begin, end) : end;
    for (const auto& [from, to] : {std::pair{begin, last}, std::pair{last, end}}) {
        if (from == to) continue;
        call.begin = from * kPanel;
        call.end = to * kPanel;
        call.rows = from == last ? matrix.columns - (matrix.panels() - 1) * kPanel : kPanel;
        if (streamed)
            stream_update(parameter, call, from, to, worker);
        else
            run_kernel(update_, call, rule_.kernel, worker);
    }
    if (!streamed) transpose_block(parameter, begin, end, worker);
}

// A block of weights, panel by panel, and its biases, where the optimizer's step makes a single row's
// gradient.
void Executor::update_from_row(const Task& task, int worker, bool streamed) {
    const int parameter = task.operation->operands[0].index;
    const int64_t height = parameters_->matrices()[size_t(parameter)].rows;
    const Operand& x = task.used_up.operand[1];
    Operand dz = task.used_up.operand[2];
    for (int64_t p = 0; p < task.call.panels; ++p) {
        const int64_t begin = task.call.begin + p * height, end = task.call.end + p * height;
        const int64_t bias = begin / height;
        update_block(parameter, begin, end, {gradient_->at(parameter) + begin * panel_row_bytes(), x, dz},
                     worker, streamed);
        if (task.bias >= 0)
            update_block(task.bias, bias, bias + 1,
                         {gradient_->at(task.bias) + bias * panel_row_bytes(), {}, dz}, worker, streamed);
        dz.data = static_cast<std::byte*>(dz.data) + dz.panel * panel_row_bytes() / kPanel;
    }
}

// The update of panel rows [begin, end) is made here, and then goes past the caches to the parameter and to
// its transposed copy.
void Executor::stream_update(int parameter, const Call& call, int64_t begin, int64_t end, int worker) {
    const int64_t height = parameters_->matrices()[size_t(parameter)].rows;
    const int64_t row_bytes = panel_row_bytes();
    // As far into a page as the parameter: elsewhere the processor may take the states' elements for those
    // just stored, and wait for them (twice the time of a step on a Zen 4 core).
    alignas(kPageBytes) std::byte room[kPageBytes + kFreshRows * kPanel * int64_t(sizeof(double))];
    const auto address = reinterpret_cast<uintptr_t>(call.operand[1].data) + uintptr_t(begin * row_bytes);
    std::byte* const fresh = room + address % kPageBytes;
    if (call.rows < kPanel) std::memset(fresh, 0, size_t(kFreshRows * row_bytes));
    Call streaming;
    streaming.operand[0] = operand_of({Place::transposed, parameter}, 0);
    streaming.operand[1] = operand_of({Place::parameter, parameter}, 0);
    streaming.operand[2].data = fresh;
    const int64_t first = begin;  // as x begins
    for (int64_t to; begin < end; begin = to) {
        to = std::min(end, begin + kFreshRows - begin % height % kPanel);  // whole squares of the copy
        Call part = call;
        for (size_t i = 1; i < states_.size() + 3; ++i)
            part.operand[i].data = static_cast<std::byte*>(call.operand[i].data) + begin * row_bytes;
        part.operand[0].data = fresh;
        Operand& x = part.operand[kRowInputs];
        x.data = static_cast<std::byte*>(x.data) + (begin - first) / kPanel * x.panel * row_bytes / kPanel;
        part.begin = 0;
        part.end = (to - begin) * kPanel;
        run_kernel(update_, part, rule_.kernel, worker);
        streaming.begin = begin;
        streaming.end = to;
        static const std::string name = "stream_weights";
        run_kernel(stream_weights_, streaming, name, worker);
    }
}

void Executor::transpose_block(int parameter, int64_t begin, int64_t end, int worker) {
    if (transposed_[size_t(parameter)].size() == 0) return;
    Call& call = transpose_calls_[size_t(worker) * transposed_.size() + size_t(parameter)];
    call.begin = begin;
    call.end = end;
    static const std::string name = "transpose";
    run_kernel(transpose_, call, name, worker);
}

void Executor::refresh_transposed() {
    if (packed_version_ == parameters_->version) return;
    for (const Block& block : blocks_) transpose_block(block.parameter, block.begin, block.end, 0);
    packed_version_ = parameters_->version;
}

// The squares of a store's elements times a factor: a float64 sum for each block, added in block order.
double Executor::sum_of_squares(const Store& store, double factor, bool decayed_alone) {
    if (norm_blocks_.size() == 0) norm_blocks_ = Memory(blocks_.size() * sizeof(double));
    double* sums = reinterpret_cast<double*>(norm_blocks_.data());
    ThreadPool::shared().run(threads_for(4.0 * double(parameters_->elements())), int64_t(blocks_.size()),
                             [&](int64_t number, int) {
                                 const Block& block = blocks_[size_t(number)];
                                 sums[number] = 0;
                                 if (decayed_alone && !rule_.decayed[size_t(block.parameter)]) return;
                                 Call call;
                                 call.operand[0].data = sums + number;
                                 call.operand[1].data = store.at(block.parameter);
                                 call.numbers = &factor;
                                 call.begin = block.begin * kPanel;
                                 call.end = block.end * kPanel;
                                 squared_norm_(call);
                             });
    double total = 0;
    for (size_t i = 0; i < blocks_.size(); ++i) total += sums[i];
    return total;
}

double Executor::gradient_norm() {
    return std::sqrt(sum_of_squares(*gradient_, reciprocal(), false));
}

double Executor::weight_squares() {
    return sum_of_squares(*parameters_, 1, true);
}

// The update as a stage of its own; false when the gradient is not finite.
bool Executor::update_stage(const double* scalars, int64_t scalar_count) {
    double factor = 1;
    if (std::isfinite(rule_.clip_norm)) {
        const double norm = gradient_norm();
        if (!std::isfinite(norm)) return false;
        if (norm > rule_.clip_norm) factor = rule_.clip_norm / norm;
    }
    prepare_update(scalars, scalar_count, factor);
    const int threads = threads_for(update_cost());
    const bool streamed = streams(threads);
    ThreadPool::shared().run(threads, int64_t(blocks_.size()), [&](int64_t number, int worker) {
        const Block& block = blocks_[size_t(number)];
        update_block(block.parameter, block.begin, block.end,
                     {gradient_->at(block.parameter) + block.begin * panel_row_bytes()}, worker, streamed);
        if (streamed) order_streamed_stores();
    });
    return true;
}

void Executor::updated() {
    packed_version_ = ++parameters_->version;
}

}  // namespace onefold
