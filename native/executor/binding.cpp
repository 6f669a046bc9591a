// What an executor finds once: kernels, tasks, and the memory that every operand means.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "executor/executor.hpp"

namespace onefold {

namespace {

// A block of the gradient that one task continues: from 2 to 400 microseconds of one core.
constexpr double kOperationsPerTask = 4e5, kMostOperationsPerTask = 1e8;
constexpr int kTasksPerThread = 8;
// The operand of a gradient of weights that is the gradient of the layer's biases, or none.
constexpr int kBiasGradient = 3;
// Panel rows of a block at most, of an embedding's at least, and panels where it has not all rows.
constexpr int64_t kMostBlockRows = 192, kLeastLookedUpRows = 96, kPanelsBeside = 2;
// Rows of inputs that are asked for before they are gathered have so many bytes, and are so many that no
// cache holds them.
constexpr int64_t kAskedRowBytes = 2 << 10, kAskedBytes = 32 << 20;

}  // namespace

void Executor::bind() {
    const KernelTable& table = kernel_table();
    transpose_ = find_kernel(table, "transpose", program_.is_double);
    stream_weights_ = find_kernel(table, "stream_weights", program_.is_double);
    squared_norm_ = find_kernel(table, "squared_norm", program_.is_double);
    const auto& matrices = parameters_->matrices();
    for (size_t i = 0; i < matrices.size(); ++i) {
        for (int64_t begin = 0; begin < matrices[i].panel_rows(); begin += kUpdateRows)
            blocks_.push_back({int(i), begin, std::min(matrices[i].panel_rows(), begin + kUpdateRows)});
        const bool wanted = i < program_.transposed.size() && program_.transposed[i];
        const Matrix turned{matrices[i].columns, matrices[i].rows};
        transposed_.emplace_back(wanted ? size_t(turned.elements()) * (program_.is_double ? 8 : 4) : 0);
    }
    row_calls_.resize(program_.stages.size() * size_t(program_.threads));
    for (size_t s = 0; s < program_.stages.size(); ++s) {
        const Stage& stage = program_.stages[s];
        std::vector<Task> tasks;
        int inputs = -1;  // the buffer that they are gathered into
        for (const Operation& operation : stage.operations) {
            if (stage.kind == StageKind::host) continue;  // not a kernel
            Kernel kernel = nullptr;                      // gather is found when the data are known
            if (operation.kernel != "gather")
                kernel = find_kernel(table, operation.kernel, program_.is_double);
            if (stage.kind == StageKind::rows) {
                row_cost_ += operation.cost;
                const Reference read = operation.operands.size() > 1 ? operation.operands[1] : Reference{};
                if (kernel == nullptr && read.index == kInputs) inputs = operation.operands[0].index;
                const bool asks = kernel != nullptr && operation.kernel.starts_with("linear_forward") &&
                                  read.place == Place::buffer && read.index == inputs;
                for (int worker = 0; worker < program_.threads; ++worker) {
                    row_calls(s, worker).push_back(row_call(operation, kernel, worker));
                    row_calls(s, worker).back().asks = asks;
                }
                continue;
            }
            column_cost_ += operation.cost;
            add_tasks(operation, kernel, tasks);
        }
        column_tasks_.push_back(std::move(tasks));
    }
    find_rooms();
    for (int worker = 0; worker < program_.threads; ++worker)
        for (size_t i = 0; i < matrices.size(); ++i) {
            Call call;
            call.operand[0] = operand_of({Place::transposed, int(i)}, 0);
            call.operand[1] = operand_of({Place::parameter, int(i)}, 0);
            transpose_calls_.push_back(call);
        }
}

Call Executor::call_of(const Operation& operation, int worker) const {
    Call call;
    for (size_t i = 0; i < operation.operands.size(); ++i)
        call.operand[i] = operand_of(operation.operands[i], worker);
    call.numbers = operation.numbers.data();
    call.seed = seed_;
    return call;
}

Executor::RowCall Executor::row_call(const Operation& operation, Kernel kernel, int worker) const {
    RowCall made{&operation, kernel, kernel ? -1 : operation.operands[1].index, call_of(operation, worker)};
    for (size_t i = 0; i < operation.operands.size(); ++i) {
        const Reference& reference = operation.operands[i];
        const size_t index = size_t(reference.index);
        if (reference.place == Place::external)
            made.moving[made.count++] = {int(i), reference.index, nullptr, 0};
        else if (reference.place == Place::buffer && program_.buffers[index].whole_micro_batch)
            made.moving[made.count++] = {
                int(i), -1, static_cast<std::byte*>(made.call.operand[i].data),
                program_.buffers[index].stride * program_.buffers[index].element_bytes};
        if (i == 0) made.shared = made.count > 0 && made.moving[0].external < 0;
    }
    return made;
}

void Executor::add_tasks(const Operation& operation, Kernel kernel, std::vector<Task>& tasks) const {
    const Matrix& matrix = gradient_->matrices()[size_t(operation.operands[0].index)];
    const auto [rows, panels] = operation.kernel == "embedding_gradient"
                                    ? looked_up_block_of(matrix)
                                    : block_of(matrix, operation.cost * double(program_.micro_batch));
    for (int64_t i = 0; i < matrix.rows; i += rows)
        for (int64_t p = 0; p < matrix.panels(); p += panels) {
            Task task{&operation, kernel, call_of(operation, 0)};
            task.call.begin = p * matrix.rows + i;
            task.call.end = p * matrix.rows + std::min(matrix.rows, i + rows);
            task.call.panels = std::min(panels, matrix.panels() - p);
            if (operation.kernel == "weight_gradient") {
                if (i > 0)
                    task.call.operand[kBiasGradient] = {};
                else if (task.call.operand[kBiasGradient].data != nullptr)
                    task.bias = operation.operands[kBiasGradient].index;
                set_used_up(task);
            }
            tasks.push_back(task);
        }
}

// A block of a gradient as a matrix of its own. Its panels begin as far into a page as the parameter's:
// elsewhere the processor may take what the update reads for what it has just stored (see stream_update).
void Executor::set_used_up(Task& task) const {
    const Call& call = task.call;
    const int64_t height = call.operand[0].stride, rows = call.end - call.begin;
    const int64_t panel = call.begin / height, row = call.begin % height;
    const int64_t stride = rows + (height - rows) % kPanel;
    const auto moved = [=](Operand operand, int64_t panels) {
        operand.data =
            static_cast<std::byte*>(operand.data) + panels * operand.panel * panel_row_bytes() / kPanel;
        operand.width -= panels * kPanel;
        return operand;
    };
    task.used_up = call;
    task.used_up.operand[0] = {nullptr, stride, call.operand[0].width - panel * kPanel};
    task.used_up.operand[1] = moved(call.operand[1], row / kPanel);
    task.used_up.operand[2] = moved(call.operand[2], panel);
    if (task.bias >= 0) task.used_up.operand[kBiasGradient] = moved(call.operand[kBiasGradient], panel);
    task.used_up.begin = 0;
    task.used_up.end = rows;
    const auto place = reinterpret_cast<uintptr_t>(data<std::byte>(call, 0) + call.begin * panel_row_bytes());
    task.in_page = int64_t(place % kPageBytes);
    task.room_bytes = task.in_page + ((call.panels - 1) * stride + rows) * panel_row_bytes();
}

// Gradients that an update uses up at once need not leave the caches: every thread makes one block after
// another in the same place. The places are in the gradient of the largest matrix, whose own blocks are made
// there too. Updates on two Granite Rapids cores are so many times as fast: 5000-64-10 at 256 rows 1.07,
// 257-129-65-33-17-5 at 100 1.05, 784-512-512-10 at 128 1.02, 784-1024-1024-1024-10 at 1,024 and others 1.00
// to 1.01; two Zen 4 cores, with memory of its own: 257-129-65-33-17-5 1.06, others 0.97 to 1.01.
void Executor::find_rooms() {
    int largest = -1;
    int64_t needed = 0;
    const auto bytes_of = [this](int matrix) {
        return gradient_->matrices()[size_t(matrix)].panel_rows() * panel_row_bytes();
    };
    for (const Task& task : column_tasks_.back()) {
        if (task.room_bytes == 0) continue;
        needed = std::max(needed, blocks_of(task.room_bytes, kPageBytes) * kPageBytes);
        const int matrix = task.operation->operands[0].index;
        if (largest < 0 || bytes_of(matrix) > bytes_of(largest)) largest = matrix;
    }
    if (largest < 0) return;
    std::byte* const begin = gradient_->at(largest);
    const int64_t before = -reinterpret_cast<intptr_t>(begin) & (kPageBytes - 1);  // the first whole page
    if (before + program_.threads * needed > bytes_of(largest)) return;
    for (int worker = 0; worker < program_.threads; ++worker)
        rooms_.push_back(begin + before + worker * needed);
}

// Rows and panels of the blocks in which the gradient of a matrix is made, so that there are tasks enough:
// two panels, as the widest register tile has them with AVX-512, and as few rows, by whole panels of x and of
// the transposed copy; where all rows are few enough, an even number of panels, or one. Instead of blocks of
// 96 or 192 rows, of one panel where that was enough, updates on two Granite Rapids cores are so many times
// as fast: 50-200-100-10 at 10,000 rows 1.03, 64-256-256-10 at 8,192 1.01 to 1.03, with AVX2 784-512-512-10
// at 128 1.02, 64-256-256-10 1.03, others 0.98 to 1.02.
//
// Lost: threads that take turns, the first continuing every chain over its rows and then the second over
// those that follow, so that blocks of the gradient change caches instead of values (0.92 to 1.02 times as
// fast, 20-64-64-2 at 8,192 rows 1.08): a line that has been written there is dearer than ten that are read
// in order.
std::pair<int64_t, int64_t> Executor::block_of(const Matrix& matrix, double operations) const {
    const double share = operations / double(program_.threads * kTasksPerThread);
    const double wanted = std::clamp(share, kOperationsPerTask, kMostOperationsPerTask);
    const double row_cost = operations / double(matrix.panel_rows()) + 1;
    const int64_t panel_rows = int64_t(std::min(wanted / row_cost, double(matrix.panel_rows()))) + 1;
    const int64_t beside = std::min<int64_t>(matrix.panels(), kPanelsBeside);
    const int64_t most = std::clamp(panel_rows / beside, kPanel, kMostBlockRows);
    const int64_t rows = blocks_of(blocks_of(matrix.rows, blocks_of(matrix.rows, most)), kPanel) * kPanel;
    if (rows < matrix.rows) return {rows, beside};
    const int64_t panels = blocks_of(panel_rows, matrix.rows);
    return {matrix.rows, panels > 1 ? panels / kPanelsBeside * kPanelsBeside : 1};
}

// Every block of an embedding's gradient reads the codes of all rows: as few as keep the threads busy, though
// the first ones, of the most frequent categories perhaps, take longer.
std::pair<int64_t, int64_t> Executor::looked_up_block_of(const Matrix& matrix) const {
    const int64_t blocks = program_.threads == 1 ? 1 : 2 * program_.threads;
    return {std::min(matrix.rows, std::max(blocks_of(matrix.rows, blocks), kLeastLookedUpRows)),
            matrix.panels()};
}

// The memory that an operand means for the first row of a micro-batch; an array of the user has none yet.
Operand Executor::operand_of(const Reference& reference, int worker) const {
    const size_t index = size_t(reference.index);
    switch (reference.place) {
        case Place::buffer: {
            const Buffer& b = program_.buffers[index];
            const Memory& arena = b.whole_micro_batch ? micro_batch_arena_ : tile_arenas_[size_t(worker)];
            return {arena.data() + b.offset, b.stride, b.width, b.panel};
        }
        case Place::parameter:
        case Place::gradient: {
            const Store& store = reference.place == Place::parameter ? *parameters_ : *gradient_;
            const Matrix& m = store.matrices()[index];
            return {store.at(reference.index), m.rows, m.columns};
        }
        case Place::transposed: {
            const Matrix& m = parameters_->matrices()[index];
            return {transposed_[index].data(), m.columns, m.rows};
        }
        case Place::external:
        case Place::none:
            break;
    }
    return {};
}

void Executor::set_update_rule(UpdateRule rule, std::vector<std::shared_ptr<Store>> states) {
    update_ = find_kernel(kernel_table(), rule.kernel, program_.is_double);
    rule_ = std::move(rule);
    states_ = std::move(states);
    if (states_.size() + 3 > size_t(kRowInputs)) throw std::invalid_argument("too many optimizer states");
    norm_blocks_ = Memory(std::isfinite(rule_.clip_norm) ? blocks_.size() * sizeof(double) : 0);
    update_calls_.clear();
    for (int worker = 0; worker < program_.threads; ++worker)
        for (size_t i = 0; i < parameters_->matrices().size(); ++i) {
            Call call;
            call.operand[0].data = call.operand[1].data = parameters_->at(int64_t(i));
            call.operand[2].data = gradient_->at(int64_t(i));
            for (size_t s = 0; s < states_.size(); ++s) call.operand[s + 3].data = states_[s]->at(int64_t(i));
            update_calls_.push_back(call);
        }
}

void Executor::watch_inputs(bool on) {
    const std::lock_guard<std::mutex> lock(mutex_);
    look(on);
}

void Executor::look(bool on) {
    finite_.assign(size_t(program_.threads), 1);
    for (size_t stage = 0; stage < program_.stages.size(); ++stage)
        for (int worker = 0; worker < program_.threads; ++worker)
            for (RowCall& row_call : row_calls(stage, worker))
                if (row_call.kernel == nullptr && row_call.gathered == kInputs)
                    row_call.call.operand[2].data = on ? &finite_[size_t(worker)] : nullptr;
}

bool Executor::inputs_finite() const {
    return std::all_of(finite_.begin(), finite_.end(), [](double each) { return each != 0; });
}

void Executor::set_data(const Data& data, bool continued) {
    data_ = data;
    running_ = Mode::cached;
    window_.close();
    const int64_t row_bytes = data.inputs.stride * data.inputs.element_bytes;
    if (const auto file = row_file_of(data.inputs.data))
        window_.open(*file, row_bytes, data.rows, data.order, std::max(window_rows, program_.micro_batch),
                     program_.threads);
    if (!continued) window_.restart();
    asking_ = !window_.is_open() && !program_.is_double && data.inputs.gather == "gather_float32" &&
              row_bytes >= kAskedRowBytes && data.rows * row_bytes >= kAskedBytes;
    if (asking_) later_.resize(size_t(program_.threads));
    for (const int external : {kInputs, kTargets, kWeights}) {
        const Source& source = source_of(external);
        External& found = externals_[external];
        found.base = static_cast<std::byte*>(const_cast<void*>(source.data));
        found.row_bytes = data.order ? 0 : source.stride * source.element_bytes;
        found.stride = source.stride;
        if (source.data == nullptr || found.gather == source.gather) continue;
        found.kernel = find_kernel(kernel_table(), source.gather, program_.is_double);
        found.gather = source.gather;
    }
    externals_[kOutput].base = static_cast<std::byte*>(output_);
    externals_[kOutput].row_bytes = output_width_ * (program_.is_double ? 8 : 4);
    externals_[kOutput].stride = output_width_;
}

const Source& Executor::source_of(int external) const {
    return external == kInputs ? data_.inputs : external == kTargets ? data_.targets : data_.weights;
}

}  // namespace onefold
