// Threads that take numbered tasks until none is left.
//
// Which thread runs a task never matters to the result: tasks write to places of their own. The
// caller works too and waits for tasks, not for threads: a thread that the operating system has put
// aside, or that wakes late, holds nobody up. Workers spin for a short while and then sleep, until there is a
// job that they may take part in: were all of them woken for a job of two threads, it would wait for a core
// (on two cores, after a job of 64 threads, updates of 100-256-256-10 at 256 rows took 3,700 instead of 1,400
// us).
//
// Half of the threads take the first task that is left and half the last one. So with two threads each has
// the same tasks in every update, give or take those in the middle, and finds its gradients and weights in
// the cache of its own core, and there is still one counter and nobody idle.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace onefold {

class ThreadPool {
public:
    // Runs task(context, number, worker) for each number below `tasks`, on up to `threads` threads;
    // worker is below `threads`, and two tasks that run at once have different ones. When another
    // caller has the threads, the caller does all of it by itself.
    using Task = void (*)(void* context, int64_t number, int worker);
    void run(int threads, int64_t tasks, Task task, void* context);

    template <class F>
    void run(int threads, int64_t tasks, F&& f) {
        run(
            threads, tasks,
            [](void* context, int64_t number, int worker) {
                (*static_cast<std::remove_reference_t<F>*>(context))(number, worker);
            },
            &f);
    }

    static constexpr int kMaxThreads = 255;

    // The pool of the process; a forked child gets one of its own.
    static ThreadPool& shared();

    ThreadPool() = default;
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

private:
    void grow(int threads);
    void work(int worker);
    bool take(int worker);
    void wake(int worker);

    // The job: written by the caller before it publishes `ticket_`, read by those who took a task.
    Task task_ = nullptr;
    void* context_ = nullptr;
    alignas(64) std::atomic<uint64_t> ticket_{0};
    alignas(64) std::atomic<int64_t> done_{0};
    alignas(64) std::atomic<bool> stop_{false};
    struct alignas(64) Sleeper {
        std::atomic<uint32_t> asleep{0};
    };
    Sleeper sleepers_[kMaxThreads];
    std::mutex busy_;
    std::vector<std::thread> workers_;
};

}  // namespace onefold
