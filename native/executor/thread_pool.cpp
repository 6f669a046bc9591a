#include "executor/thread_pool.hpp"

#include <pthread.h>

#include <chrono>

#include "executor/float_environment.hpp"

namespace onefold {

namespace {

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// The ticket, from its lowest bits up: tasks not yet taken, tasks taken from the front, threads that may take
// part. It says all that a thread needs to take a task, so one that has slept through some jobs takes a task
// of the present one.
constexpr int kTaskBits = 28;
constexpr uint64_t kTasks = (uint64_t(1) << kTaskBits) - 1;
constexpr uint64_t kOneFromFront = uint64_t(1) << kTaskBits;

bool offers(uint64_t ticket, int worker) {
    return (ticket & kTasks) > 0 && uint64_t(worker) < ticket >> 2 * kTaskBits;
}

// About 50 microseconds: longer than the gap between two stages, shorter than anyone notices.
constexpr int kSpins = 2000;

}  // namespace

ThreadPool& ThreadPool::shared() {
    // Never destroyed: at exit the threads may still be asleep, and a forked child has none of them.
    static ThreadPool* pool = [] {
        pthread_atfork(nullptr, nullptr, [] { pool = new ThreadPool; });
        return new ThreadPool;
    }();
    return *pool;
}

ThreadPool::~ThreadPool() {
    stop_ = true;
    for (int worker = 1; worker <= int(workers_.size()); ++worker) wake(worker);
    for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::grow(int threads) {
    while (int(workers_.size()) < threads - 1) {
        const int worker = int(workers_.size()) + 1;
        workers_.emplace_back([this, worker] { work(worker); });
    }
}

// Takes one task of the current job and runs it; false when there is none for this worker.
bool ThreadPool::take(int worker) {
    uint64_t seen = ticket_.load(std::memory_order_acquire);
    const bool from_front = worker % 2 == 0;
    do {
        if (!offers(seen, worker)) return false;
    } while (!ticket_.compare_exchange_weak(seen, seen - 1 + (from_front ? kOneFromFront : 0),
                                            std::memory_order_acq_rel));
    const uint64_t remaining = seen & kTasks, taken = seen >> kTaskBits & kTasks;
    const uint64_t number = from_front ? taken : taken + remaining - 1;
    // The job cannot change before this task is done, so its fields may be read now.
    task_(context_, int64_t(number), worker);
    done_.fetch_add(1, std::memory_order_release);
    return true;
}

void ThreadPool::work(int worker) {
    const FloatEnvironment environment;
    std::atomic<uint32_t>& asleep = sleepers_[worker].asleep;
    int idle = 0;
    while (!stop_.load(std::memory_order_relaxed)) {
        if (take(worker)) {
            idle = 0;
            continue;
        }
        if (++idle < kSpins) {
            pause();
            continue;
        }
        // Whoever publishes a job looks for sleepers after it, and a sleeper for a job after it says that it
        // sleeps: one of them sees the other.
        asleep.store(1);
        if (!offers(ticket_.load(), worker) && !stop_.load()) asleep.wait(1);
        asleep.store(0);
        idle = 0;
    }
}

void ThreadPool::wake(int worker) {
    std::atomic<uint32_t>& asleep = sleepers_[worker].asleep;
    if (asleep.load() == 0) return;
    asleep.store(0);
    asleep.notify_one();
}

void ThreadPool::run(int threads, int64_t tasks, Task task, void* context) {
    if (threads > kMaxThreads) threads = kMaxThreads;
    std::unique_lock<std::mutex> lock(busy_, std::defer_lock);
    if (threads <= 1 || tasks <= 1 || tasks > int64_t(kTasks) || !lock.try_lock()) {
        for (int64_t number = 0; number < tasks; ++number) task(context, number, 0);
        return;
    }
    grow(threads);
    task_ = task;
    context_ = context;
    done_.store(0, std::memory_order_relaxed);
    ticket_.store(uint64_t(threads) << 2 * kTaskBits | uint64_t(tasks));
    for (int worker = 1; worker < threads; ++worker) wake(worker);
    while (take(0)) {
    }
    for (int spins = 0; done_.load(std::memory_order_acquire) < tasks; ++spins) {
        if (spins < kSpins)
            pause();
        else
            std::this_thread::yield();
    }
}

}  // namespace onefold
