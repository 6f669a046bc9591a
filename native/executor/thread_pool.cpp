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

constexpr uint64_t kRemaining = (uint64_t(1) << 24) - 1;
constexpr int64_t kMaxTasks = int64_t(kRemaining);
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
    signal_.fetch_add(1);
    signal_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::grow(int threads) {
    while (int(workers_.size()) < threads - 1) {
        const int worker = int(workers_.size()) + 1;
        workers_.emplace_back([this, worker] { work(worker); });
    }
}

// Takes one task of the current job and runs it; false when there is none for this worker.
bool ThreadPool::take(uint64_t& seen, int worker) {
    seen = ticket_.load(std::memory_order_acquire);
    while (true) {
        const int allowed = int(seen >> 24 & 0xff);
        if ((seen & kRemaining) == 0 || worker >= allowed) return false;
        if (ticket_.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel)) break;
    }
    // The job cannot change before this task is done, so its fields may be read now.
    task_(context_, tasks_ - int64_t(seen & kRemaining), worker);
    done_.fetch_add(1, std::memory_order_release);
    return true;
}

void ThreadPool::work(int worker) {
    const FloatEnvironment environment;
    uint64_t seen = 0;
    int idle = 0;
    uint32_t signal = signal_.load(std::memory_order_acquire);
    while (!stop_.load(std::memory_order_relaxed)) {
        if (take(seen, worker)) {
            idle = 0;
            continue;
        }
        if (++idle < kSpins) {
            pause();
            continue;
        }
        sleepers_.fetch_add(1);
        const uint32_t now = signal_.load(std::memory_order_seq_cst);
        if (now == signal) signal_.wait(now);
        sleepers_.fetch_sub(1);
        signal = signal_.load(std::memory_order_acquire);
        idle = 0;
    }
}

void ThreadPool::run(int threads, int64_t tasks, Task task, void* context) {
    if (threads > kMaxThreads) threads = kMaxThreads;
    std::unique_lock<std::mutex> lock(busy_, std::defer_lock);
    if (threads <= 1 || tasks <= 1 || tasks > kMaxTasks || !lock.try_lock()) {
        for (int64_t number = 0; number < tasks; ++number) task(context, number, 0);
        return;
    }
    grow(threads);
    task_ = task;
    context_ = context;
    tasks_ = tasks;
    done_.store(0, std::memory_order_relaxed);
    const uint64_t job = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    ticket_.store(job << 32 | uint64_t(threads) << 24 | uint64_t(tasks), std::memory_order_release);
    signal_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) signal_.notify_all();
    uint64_t seen = 0;
    while (take(seen, 0)) {
    }
    for (int spins = 0; done_.load(std::memory_order_acquire) < tasks; ++spins) {
        if (spins < kSpins)
            pause();
        else
            std::this_thread::yield();
    }
}

}  // namespace onefold
