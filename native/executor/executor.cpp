#include "executor/executor.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "executor/float_environment.hpp"

namespace onefold {

namespace {

// Work that is worth another thread: about 10 microseconds of one core.
constexpr double kOperationsPerThread = 1e6;
constexpr auto kPollEvery = std::chrono::milliseconds(50);

// The task that the pool gives a thread after another one, if all threads are equally fast.
int64_t following(int64_t task, int threads, int worker) {
    return worker % 2 == 0 ? task + (threads + 1) / 2 : task - threads / 2;
}

}  // namespace

Executor::Executor(Program program, std::shared_ptr<Store> parameters, std::shared_ptr<Store> gradient,
                   uint64_t seed)
    : program_(std::move(program)),
      parameters_(std::move(parameters)),
      gradient_(std::move(gradient)),
      seed_(seed),
      micro_batch_arena_(size_t(program_.micro_batch_bytes)),
      last_poll_(std::chrono::steady_clock::now()) {
    for (int worker = 0; worker < program_.threads; ++worker)
        tile_arenas_.emplace_back(size_t(program_.tile_bytes));
    bind();
}

int64_t Executor::bytes() const {
    int64_t total = int64_t(micro_batch_arena_.size() + norm_blocks_.size()) + window_.memory_bytes();
    for (const Memory& m : tile_arenas_) total += int64_t(m.size());
    for (const Memory& m : transposed_) total += int64_t(m.size());
    return total;
}

void Executor::set_profiling(bool on) {
    seconds_.assign(on ? size_t(program_.threads) : 0, {});
}

std::vector<std::pair<std::string, double>> Executor::profile() const {
    std::map<std::string, double> total;
    for (const auto& thread : seconds_)
        for (const auto& [name, seconds] : thread) total[name] += seconds;
    return {total.begin(), total.end()};
}

void Executor::run_kernel(Kernel kernel, const Call& call, const std::string& name, int worker) {
    if (seconds_.empty()) {
        kernel(call);
        return;
    }
    const auto start = std::chrono::steady_clock::now();
    kernel(call);
    seconds_[size_t(worker)][name] +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int Executor::threads_for(double operations) const {
    const double useful = operations / kOperationsPerThread;
    const int most = running_ == Mode::alone ? 1 : program_.threads;
    return useful < 2 ? 1 : useful < most ? int(useful) : most;
}

// Whether a batch of so many rows has work for several threads, and so little that one may be faster.
Executor::Size Executor::size_of(int64_t rows) const {
    const double update = update_cost();
    const double piece = double(std::min(rows, program_.micro_batch));
    return {threads_for(row_cost_ * piece) > 1 || threads_for(column_cost_ * piece + update) > 1,
            (row_cost_ + column_cost_) * double(rows) + update <= ModeChoice::kMostOperationsAlone};
}

void Executor::poll_if_due() {
    if (!poll) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_poll_ < kPollEvery) return;
    last_poll_ = now;
    poll();
}

// The call for rows [row, row + rows) of the micro-batch that begins at `first` of the data.
const Call& Executor::moved(RowCall& row_call, int64_t first, int64_t row, int64_t rows,
                            bool streamed) const {
    Call& call = row_call.call;
    call.rows = rows;
    call.streamed = streamed && row_call.shared;
    call.first_row = batch_row_ + row;
    call.update = update_number_;
    call.order = data_.order ? data_.order + first + row : nullptr;
    for (int m = 0; m < row_call.count; ++m) {
        const Moving& moving = row_call.moving[m];
        if (moving.external < 0) {
            call.operand[moving.operand].data = moving.base + row * moving.row_bytes;
            continue;
        }
        const External& from = externals_[moving.external];
        const int64_t place = first + row;
        std::byte* to = from.base + place * from.row_bytes;
        if (moving.external == kInputs && window_.is_open()) {
            to = const_cast<std::byte*>(window_.at(place));
            call.order = window_.slots(place);
        }
        call.operand[moving.operand] = {to, from.stride, from.stride};
    }
    return call;
}

// Where the rows stand that this thread gathers after those of a tile: of the next tile that the pool gives
// it, or of the next batch. Null where there are none.
const std::byte* const* Executor::rows_after(int64_t first, int64_t rows, int64_t tile, int64_t tiles,
                                             int threads, int worker) {
    const bool front = worker % 2 == 0;
    const int64_t share = tiles * ((threads + 1) / 2) / threads;
    int64_t next = following(tile, threads, worker);
    if (front ? next >= share : next < share) {
        next = front ? worker / 2 : tiles - 1 - worker / 2;
        first += rows;
    }
    const int64_t begin = first + rows * next / tiles, end = first + rows * (next + 1) / tiles;
    if (next < 0 || next >= tiles || end > data_.rows) return nullptr;
    auto& later = later_[size_t(worker)];
    later.resize(size_t(program_.row_tile));
    const int64_t row_bytes = data_.inputs.stride * data_.inputs.element_bytes;
    for (int64_t i = 0; i < program_.row_tile; ++i) {
        const int64_t place = std::min(begin + i, end - 1);
        later[size_t(i)] = static_cast<const std::byte*>(data_.inputs.data) +
                           (data_.order ? int64_t(data_.order[place]) : place) * row_bytes;
    }
    return later.data();
}

void Executor::row_stage(size_t stage, int64_t first, int64_t rows) {
    const int threads = threads_for(row_cost_ * double(rows));
    int64_t tiles = blocks_of(rows, program_.row_tile);
    tiles = std::min(rows, blocks_of(tiles, threads) * threads);
    const bool streamed = streams(threads);
    ThreadPool::shared().run(threads, tiles, [&](int64_t tile, int worker) {
        const int64_t begin = rows * tile / tiles, end = rows * (tile + 1) / tiles;
        for (RowCall& row_call : row_calls(stage, worker)) {
            if (row_call.asks)
                row_call.call.later =
                    asking_ ? rows_after(first, rows, tile, tiles, threads, worker) : nullptr;
            run_kernel(row_call.kernel ? row_call.kernel : externals_[row_call.gathered].kernel,
                       moved(row_call, first, begin, end - begin, streamed), row_call.operation->kernel,
                       worker);
        }
        if (streamed) order_streamed_stores();
    });
}

void Executor::column_stage(size_t stage, int64_t rows, bool fuse) {
    auto& tasks = column_tasks_[stage];
    const double update = fuse ? update_cost() : 0;
    const int threads = threads_for(column_cost_ * double(rows) + update);
    const bool streamed = streams(threads);
    ThreadPool::shared().run(threads, int64_t(tasks.size()), [&](int64_t number, int worker) {
        Task& task = tasks[size_t(number)];
        const bool at_once = fuse && !started_ && task.room_bytes > 0;
        if (at_once && rows == 1) {
            update_from_row(task, worker, streamed);
            if (streamed) order_streamed_stores();
            return;
        }
        const bool used_up = at_once && !rooms_.empty();
        Call& call = used_up ? task.used_up : task.call;
        if (used_up) call.operand[0].data = rooms_[size_t(worker)] + task.in_page;
        call.rows = rows;
        call.resume = started_;
        // Operands of used_up begin where the block does; tasks of other kernels have none.
        const int64_t next = following(number, threads, worker);
        const bool known = next >= 0 && next < int64_t(tasks.size());
        for (int i : {0, 1})
            call.next[i] = known ? data<const std::byte>(tasks[size_t(next)].used_up, i + 1) : nullptr;
        run_kernel(task.kernel, call, task.operation->kernel, worker);
        if (!fuse) return;
        const int parameter = task.operation->operands[0].index;
        const int64_t height = parameters_->matrices()[size_t(parameter)].rows;
        std::byte* gradient = data<std::byte>(call, 0) + call.begin * panel_row_bytes();
        for (int64_t p = 0; p < call.panels; ++p, gradient += call.operand[0].stride * panel_row_bytes())
            update_block(parameter, task.call.begin + p * height, task.call.end + p * height, {gradient},
                         worker, streamed);
        if (task.bias >= 0) {
            const int64_t first = task.call.begin / height;
            update_block(task.bias, first, first + call.panels,
                         {gradient_->at(task.bias) + first * panel_row_bytes()}, worker, streamed);
        }
        if (streamed) order_streamed_stores();
    });
}

void Executor::host_stage(size_t stage, int64_t rows) {
    for (const Operation& operation : program_.stages[stage].operations) {
        std::vector<Operand> operands;
        for (const Reference& reference : operation.operands) operands.push_back(operand_of(reference, 0));
        if (host) host(rows, batch_row_, operands);
    }
}

// Continues the batch's totals with the micro-batch that starts at row `first` of the data.
void Executor::add_totals(int64_t first, int64_t rows) {
    if (program_.loss_buffer < 0) return;
    const Buffer& buffer = program_.buffers[size_t(program_.loss_buffer)];
    const double* loss = reinterpret_cast<const double*>(micro_batch_arena_.data() + buffer.offset);
    for (int64_t r = 0; r < rows; ++r) batch_.loss += loss[r * buffer.stride];
    const Source& weights = data_.weights;
    if (weights.data == nullptr) {
        batch_.weight += double(rows);  // exact, as a chain of ones would be
        return;
    }
    for (int64_t r = 0; r < rows; ++r) {
        const int64_t row = data_.order ? int64_t(data_.order[first + r]) : first + r;
        batch_.weight += program_.is_double ? static_cast<const double*>(weights.data)[row]
                                            : double(static_cast<const float*>(weights.data)[row]);
    }
}

// Runs the stages over rows [first, first + rows) of the data, a micro-batch at a time. With
// `scalars`, the update is fused into the columns of the last one. False when stop() was called.
bool Executor::micro_batches(int64_t first, int64_t rows, const double* scalars, int64_t scalar_count) {
    for (int64_t done = 0; done < rows;) {
        const int64_t count = std::min(program_.micro_batch, rows - done);
        const bool last = done + count == rows;
        if (window_.is_open()) window_.hold(first + done, count);
        bool totalled = false;
        for (size_t stage = 0; stage < program_.stages.size(); ++stage) {
            const StageKind kind = program_.stages[stage].kind;
            if (kind == StageKind::rows) row_stage(stage, first + done, count);
            if (kind == StageKind::host) host_stage(stage, count);
            if (kind != StageKind::columns) continue;
            if (!totalled) add_totals(first + done, count);
            totalled = true;
            const bool final_stage = stage + 1 == program_.stages.size();
            const bool fuse = last && final_stage && scalars != nullptr && std::isfinite(batch_.loss);
            if (fuse) prepare_update(scalars, scalar_count, 1.0);
            column_stage(stage, count, fuse);
        }
        if (!totalled) add_totals(first + done, count);
        started_ = true;
        done += count;
        batch_row_ += count;
        if (!last) poll_if_due();
        if (!last && stop_) return false;
    }
    return true;
}

void Executor::begin_batch(uint32_t update) {
    update_number_ = update;
    batch_row_ = 0;
    started_ = false;
    batch_ = {};
    refresh_transposed();
}

Executor::Result Executor::train(const Data& data, const Updates& updates, Totals& totals) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const FloatEnvironment environment;
    const auto start = std::chrono::steady_clock::now();
    const bool fuse = !std::isfinite(rule_.clip_norm);
    set_data(data, true);
    const Size size = size_of(updates.batch_size);
    const bool choosing = size.shared && !mode;
    if (updates.first_batch == 0) window_.reorder();
    Result result;
    stop_ = false;
    if (pending_) std::rethrow_exception(std::exchange(pending_, nullptr));
    while (result.updates < updates.count) {
        const int64_t first = (updates.first_batch + result.updates) * updates.batch_size;
        const int64_t rows = std::min(updates.batch_size, data.rows - first);
        const double* scalars = updates.scalars + result.updates * updates.scalar_count;
        double* record = updates.record ? updates.record + result.updates * updates.record_count : nullptr;
        if (record && updates.record_count > 2) record[2] = weight_squares();
        begin_batch(updates.first_update + uint32_t(result.updates));
        running_ = mode ? *mode : choosing ? choice_.next(size.small) : Mode::cached;
        const auto began = choosing ? std::chrono::steady_clock::now() : start;
        try {
            if (!micro_batches(first, rows, fuse ? scalars : nullptr, updates.scalar_count)) {
                result.outcome = Outcome::time_up;
                return result;
            }
        } catch (...) {
            if (result.updates == 0) throw;
            pending_ = std::current_exception();
            result.outcome = Outcome::time_up;
            return result;
        }
        result.last = batch_;
        if (record) {
            record[0] = batch_.loss;
            record[1] = batch_.weight;
        }
        if (!std::isfinite(batch_.loss) || (!fuse && !update_stage(scalars, updates.scalar_count))) {
            result.outcome = Outcome::not_finite;
            return result;
        }
        updated();
        if (choosing && rows == updates.batch_size)
            choice_.record(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
        totals.loss += batch_.loss;
        totals.weight += batch_.weight;
        ++result.updates;
        if (updates.seconds > 0 && result.updates < updates.count &&
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() >
                updates.seconds) {
            result.outcome = Outcome::time_up;
            return result;
        }
    }
    return result;
}

void Executor::begin(uint32_t update) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const FloatEnvironment environment;
    begin_batch(update);
}

void Executor::add(const Data& data) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const FloatEnvironment environment;
    set_data(data);
    micro_batches(0, data.rows, nullptr, 0);
}

bool Executor::finish(const double* scalars, int64_t scalar_count) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const FloatEnvironment environment;
    if (!std::isfinite(batch_.loss) || !update_stage(scalars, scalar_count)) return false;
    updated();
    return true;
}

bool Executor::forward(const Data& data, void* out, int64_t width, bool watched) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const FloatEnvironment environment;
    look(watched);
    output_ = out;
    output_width_ = width;
    set_data(data);
    batch_row_ = 0;
    for (int64_t first = 0; first < data.rows; first += program_.micro_batch) {
        const int64_t rows = std::min(program_.micro_batch, data.rows - first);
        if (window_.is_open()) window_.hold(first, rows);
        row_stage(0, first, rows);
        poll_if_due();
    }
    return inputs_finite();
}

Totals Executor::evaluate(const Data& data) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const FloatEnvironment environment;
    set_data(data);
    begin_batch(0);
    micro_batches(0, data.rows, nullptr, 0);
    return batch_;
}

}  // namespace onefold
