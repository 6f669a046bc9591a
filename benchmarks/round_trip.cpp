// What two cores need to hand a line of their caches to each other and back.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

alignas(64) static std::atomic<long> line;

static void wait_for(long value) {
    while (line.load(std::memory_order_acquire) != value) __builtin_ia32_pause();
}

// Nanoseconds: the median of many short series, because a core may do something else meanwhile.
extern "C" double round_trip() {
    constexpr int kSeries = 41, kTrips = 100;
    line = 0;
    std::thread other([] {
        for (long trip = 0; trip < kSeries * kTrips; ++trip) {
            wait_for(2 * trip + 1);
            line.store(2 * trip + 2, std::memory_order_release);
        }
    });
    double found[kSeries];
    long trip = 0;
    for (double& nanoseconds : found) {
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < kTrips; ++i, ++trip) {
            line.store(2 * trip + 1, std::memory_order_release);
            wait_for(2 * trip + 2);
        }
        const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
        nanoseconds = spent.count() / kTrips;
    }
    other.join();
    std::nth_element(found, found + kSeries / 2, found + kSeries);
    return found[kSeries / 2];
}
