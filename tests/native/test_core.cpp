// The native core without Python, so that sanitizers see all of it: the thread pool under several
// callers, the executor cut in every way, the stores. Exits with 1 at the first check that fails.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <thread>

#include <unistd.h>

#include "executor/executor.hpp"

using namespace onefold;

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                        \
        }                                                                        \
    } while (false)

void test_square_roots();  // test_sqrt.cpp

namespace {

constexpr int64_t kIn = 37, kOut = 35, kRows = 203;
constexpr int64_t kCategories = 300, kSize = 9, kEmbedded = kIn - 1 + kSize;  // of the last column of x

// Every task runs once, with a worker below the number of threads; several callers at a time.
void test_thread_pool() {
    auto caller = [](int seed) {
        for (int job = 0; job < 400; ++job) {
            const int threads = 1 + (job + seed) % 5;
            const int64_t tasks = 1 + (job * 7 + seed) % 23;
            std::vector<int> runs(size_t(tasks), 0);
            ThreadPool::shared().run(threads, tasks, [&](int64_t number, int worker) {
                CHECK(worker >= 0 && worker < threads);
                runs[size_t(number)] += 1;
            });
            for (int n : runs) CHECK(n == 1);
            if (job % 100 == 99)
                std::this_thread::sleep_for(std::chrono::milliseconds(2));  // they fall asleep
        }
    };
    std::vector<std::thread> callers;
    for (int i = 0; i < 3; ++i) callers.emplace_back(caller, i);
    for (auto& thread : callers) thread.join();
    ThreadPool own;  // and one that ends
    own.run(3, 50, [](int64_t, int) {});
}

// One thread's tasks are the first ones and the other's the last, so that each finds its data in its cache.
void test_tasks_stay_with_their_thread() {
    ThreadPool pool;
    for (int job = 0; job < 200; ++job) {
        std::vector<int> by(64, -1);
        pool.run(2, 64, [&](int64_t number, int worker) {
            by[size_t(number)] = worker;
            std::this_thread::sleep_for(std::chrono::microseconds(1));  // so that the other takes part
        });
        CHECK(std::is_sorted(by.begin(), by.end()));
    }
}

#ifdef __linux__
// How often each thread of the process but this one has gone to sleep; nothing while one of them is awake.
std::optional<std::map<std::string, long>> sleeps() {
    std::map<std::string, long> found;
    const std::string self = std::to_string(gettid());
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
        const std::string thread = entry.path().filename();
        std::ifstream status(entry.path() / "status");
        bool asleep = false;
        for (std::string line; std::getline(status, line);) {
            if (line.starts_with("State:")) asleep = line.find("S (sleeping)") != std::string::npos;
            if (line.starts_with("voluntary_ctxt_switches:")) found[thread] = std::stol(line.substr(24));
        }
        if (thread == self)
            found.erase(thread);
        else if (!asleep)
            return std::nullopt;
    }
    return found;
}

std::map<std::string, long> sleeps_of_all() {
    for (;;) {
        if (const auto found = sleeps()) return *found;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

// Threads that a job has no use for are not woken.
void test_others_sleep_on() {
    const auto others = sleeps_of_all();
    ThreadPool pool;
    pool.run(9, 100, [](int64_t, int) { std::this_thread::sleep_for(std::chrono::microseconds(50)); });
    auto before = sleeps_of_all();
    for (int job = 0; job < 20; ++job) {
        pool.run(2, 2, [](int64_t, int) { std::this_thread::sleep_for(std::chrono::microseconds(50)); });
        std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the other falls asleep
    }
    const auto after = sleeps_of_all();
    CHECK(after.size() == before.size());
    const auto woken = std::count_if(after.begin(), after.end(), [&](const auto& thread) {
        return !others.contains(thread.first) && thread.second != before[thread.first];
    });
    CHECK(woken == 1);
}
#endif

// Whatever is faster is taken nearly always, and what has changed is found out.
void test_mode_choice() {
    ModeChoice choice;
    CHECK(choice.next(true) == Mode::cached);
    // Mean seconds of updates, by those of one in each mode.
    auto updates = [&](int count, std::vector<double> of_mode) {
        double all = 0;
        for (int update = 0; update < count; ++update) {
            const double seconds = of_mode[size_t(choice.next(of_mode.size() == 3))];
            all += seconds;
            // Now and then the system does something else.
            choice.record(update % 7 == 3 ? 20 * seconds : seconds);
        }
        return all / count;
    };
    CHECK(updates(40000, {60e-6, 50e-6, 30e-6}) < 1.06 * 30e-6);
    CHECK(choice.next(true) == Mode::alone);
    CHECK(updates(40000, {30e-6, 40e-6, 60e-6}) < 1.4 * 30e-6);  // at the latest when it is tried next
    CHECK(updates(40000, {30e-6, 40e-6, 60e-6}) < 1.02 * 30e-6);
    CHECK(choice.next(true) == Mode::cached);
    // Long updates are tried less often, each mode with one of them.
    CHECK(updates(1000, {0.2, 0.1}) < 1.05 * 0.1);
    CHECK(choice.next(false) == Mode::streamed);
}

// Rows of a file that is ours are those of the file, also where they begin within a page of it.
void test_mapped_file() {
    constexpr int64_t rows = 20000, width = 256, bytes = rows * width * 4, held = 12000, before = 1000;
    std::FILE* file = std::tmpfile();
    std::vector<float> values(size_t(rows * width));
    std::iota(values.begin(), values.end(), 0.0F);
    CHECK(std::fseek(file, before, SEEK_SET) == 0);
    CHECK(std::fwrite(values.data(), 1, size_t(bytes), file) == size_t(bytes) && std::fflush(file) == 0);
    std::vector<uint32_t> order(static_cast<size_t>(rows));
    for (int64_t i = 0; i < rows; ++i) order[size_t(i)] = uint32_t(i * 7919 % rows);
    RowWindow window;
    window.open({fileno(file), before, true}, width * 4, rows, order.data(), held, 2);
    for (const int64_t first : {int64_t(0), rows - held}) {
        window.hold(first, held);
        const uint32_t* slots = window.slots(first);
        for (int64_t i = 0; i < held; ++i) {
            const auto* row =
                reinterpret_cast<const float*>(window.at(first + i)) + int64_t(slots[i]) * width;
            CHECK(row[width - 1] == values[size_t((order[size_t(first + i)] + 1) * width - 1)]);
        }
    }
    std::fclose(file);
}

// z = e W + b under the mean squared error, where e is x with its last column embedded.
Program regression(int64_t micro_batch, int64_t row_tile, int threads) {
    Program program;
    int64_t whole = 0, tile = 0;
    auto buffer = [&](bool is_whole, int64_t width, int64_t bytes) {
        const int64_t rows = is_whole ? micro_batch : row_tile, panels = (width + kPanel - 1) / kPanel;
        Buffer b{is_whole, width, (width + 15) / 16 * 16, kPanel, bytes, is_whole ? whole : tile};
        if (panels > 1) b.stride = kPanel, b.panel = rows * kPanel;
        const int64_t size = rows * panels * b.stride * bytes;
        (is_whole ? whole : tile) += (size + 63) / 64 * 64;
        program.buffers.push_back(b);
        return Reference{Place::buffer, int(program.buffers.size()) - 1};
    };
    const Reference e = buffer(true, kEmbedded, 4), z = buffer(true, kOut, 4), loss = buffer(true, 1, 8);
    const Reference codes = buffer(true, 1, 4), de = buffer(true, kEmbedded, 4), x = buffer(false, kIn, 4);
    const Reference y = buffer(false, kOut, 4), none{};
    const Reference W{Place::parameter, 0}, b{Place::parameter, 1}, E{Place::parameter, 2};
    const double runs[] = {1, 0, 0, kIn - 1};
    std::vector<double> embedded(runs, runs + 4);
    for (double n : {1, int(kIn) - 1, int(kIn) - 1, int(kCategories), int(kSize)}) embedded.push_back(n);
    auto operation = [](const char* kernel, std::vector<Reference> operands, double cost,
                        std::vector<double> attributes = {}) {
        Operation o;
        o.kernel = kernel;
        o.operands = std::move(operands);
        o.cost = cost;
        o.numbers = std::move(attributes);
        return o;
    };
    Stage rows{StageKind::rows,
               {operation("gather", {x, {Place::external, kInputs}}, 1),
                operation("embedding_forward", {e, codes, x, E}, 1, embedded),
                operation("linear_forward", {z, e, W, b}, 1e6),  // dear enough for every thread
                operation("gather", {y, {Place::external, kTargets}}, 1),
                operation("squared_error", {loss, z, z, y, none}, 1),
                operation("linear_backward", {de, z, {Place::transposed, 0}, none}, 1)}};
    Stage columns{
        StageKind::columns,
        {operation("weight_gradient", {{Place::gradient, 0}, e, z, {Place::gradient, 1}}, 1e6),
         operation("embedding_gradient", {{Place::gradient, 2}, codes, de}, 1, {0, double(kIn - 1)})}};
    program.stages = {rows, columns};
    program.transposed = {true, false, false};
    program.loss_buffer = loss.index;
    program.micro_batch = micro_batch;
    program.row_tile = row_tile;
    program.threads = threads;
    program.micro_batch_bytes = whole;
    program.tile_bytes = tile;
    return program;
}

std::vector<float> numbers(int64_t count, uint32_t seed) {
    std::vector<float> out(static_cast<size_t>(count));
    for (auto& value : out) {
        seed = seed * 1664525u + 1013904223u;
        value = float(seed >> 8) / float(1 << 23) - 1;
    }
    return out;
}

std::vector<float> train(int64_t micro_batch, int64_t row_tile, int threads, double clip_norm, bool by_hand,
                         Mode mode = Mode::cached) {
    const std::vector<std::pair<int64_t, int64_t>> shapes{{kEmbedded, kOut}, {1, kOut}, {kCategories, kSize}};
    auto parameters = std::make_shared<Store>(shapes, false),
         gradient = std::make_shared<Store>(shapes, false);
    auto m = std::make_shared<Store>(shapes, false), v = std::make_shared<Store>(shapes, false);
    const auto weight = numbers(kEmbedded * kOut, 3), table = numbers(kCategories * kSize, 4);
    parameters->set(0, weight.data());
    parameters->set(2, table.data());
    Executor executor(regression(micro_batch, row_tile, threads), parameters, gradient, 7);
    executor.set_update_rule(
        {"adam_update", {true, false, true}, std::numeric_limits<double>::infinity(), clip_norm}, {m, v});
    executor.mode = mode;
    auto x = numbers(kRows * kIn, 1);
    const auto y = numbers(kRows * kOut, 2);
    for (int64_t r = 0; r < kRows; ++r) x[size_t(r * kIn + kIn - 1)] = float(r * r % kCategories);
    std::vector<uint32_t> order(kRows);
    for (size_t i = 0; i < order.size(); ++i) order[i] = uint32_t(i * 64 % kRows);
    const double scalars[] = {0.01, 0.1, 0.9, 0.999, 1e-8, 0.1, 1.0};
    Data data{
        {x.data(), kIn, 4, "gather_float32"}, {y.data(), kOut, 4, "gather_float32"}, {}, order.data(), kRows};
    for (int epoch = 0; epoch < 2; ++epoch) {
        if (by_hand) {
            executor.begin(uint32_t(epoch));
            Data head = data, tail = data;
            head.rows = 100;
            tail.rows = kRows - 100;
            tail.order += 100;
            executor.add(head);
            executor.add(tail);
            CHECK(executor.finish(scalars, 7));
        } else {
            Executor::Updates updates;
            updates.batch_size = kRows;
            updates.count = 1;
            updates.first_update = uint32_t(epoch);
            updates.scalars = scalars;
            updates.scalar_count = 7;
            Totals totals;
            CHECK(executor.train(data, updates, totals).updates == 1);
            CHECK(totals.weight == double(kRows) && std::isfinite(totals.loss));
        }
    }
    std::vector<float> out(size_t(kEmbedded * kOut + kOut + kCategories * kSize));
    parameters->get(0, out.data());
    parameters->get(1, out.data() + kEmbedded * kOut);
    parameters->get(2, out.data() + kEmbedded * kOut + kOut);
    return out;
}

void test_any_cut() {
    for (const double clip_norm : {std::numeric_limits<double>::infinity(), 0.01}) {
        const auto whole = train(kRows, 48, 1, clip_norm, false);
        CHECK(whole != numbers(int64_t(whole.size()), 3));
        for (const int64_t micro_batch : {int64_t(1), int64_t(7), int64_t(100), kRows})
            for (const int threads : {1, 2, 5}) {
                for (const bool by_hand : {false, true})
                    CHECK(train(micro_batch, 1 + micro_batch / 3, threads, clip_norm, by_hand) == whole);
                for (const Mode mode : {Mode::streamed, Mode::alone})
                    CHECK(train(micro_batch, 1 + micro_batch / 3, threads, clip_norm, false, mode) == whole);
            }
    }
}

void test_every_level() {
    std::vector<float> first;
    for (const KernelTable& level : available_levels()) {
        setenv("ONEFOLD_ISA", level.level, 1);
        for (const Mode mode : {Mode::cached, Mode::streamed}) {
            const auto found = train(50, 12, 2, 0.01, false, mode);
            if (first.empty()) first = found;
            CHECK(found == first);
        }
    }
    unsetenv("ONEFOLD_ISA");
}

}  // namespace

int main() {
    test_thread_pool();
    test_tasks_stay_with_their_thread();
#ifdef __linux__
    test_others_sleep_on();
#endif
    test_mode_choice();
    test_mapped_file();
    test_any_cut();
    test_every_level();
#ifdef ONEFOLD_HAS_AVX512
    if (available_levels().front().level == std::string("avx512")) test_square_roots();
#endif
    std::puts("native tests passed");
}
