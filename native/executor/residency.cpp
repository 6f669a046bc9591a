#include "executor/residency.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <limits>
#include <mutex>
#include <vector>

namespace onefold::residency {

namespace {

struct Mapping {
    void* address;
    size_t bytes;
    int64_t limit;
};

constexpr auto kEvery = std::chrono::microseconds(200);

std::mutex mutex;
std::vector<Mapping> mappings;
std::atomic<bool> watching{false};
std::chrono::steady_clock::time_point last;
int64_t before = 0;           // resident at the last check
int64_t growth = 64'000'000;  // the most that came between two checks; at first a guess

// Advice for the whole pages inside a mapping.
void advise([[maybe_unused]] const Mapping& mapping, [[maybe_unused]] int advice) {
#ifdef __linux__
    const auto page = uintptr_t(sysconf(_SC_PAGESIZE));
    const auto begin = (reinterpret_cast<uintptr_t>(mapping.address) + page - 1) / page * page;
    const auto end = (reinterpret_cast<uintptr_t>(mapping.address) + mapping.bytes) / page * page;
    if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, advice);
#endif
}

}  // namespace

void watch(void* address, size_t bytes, int64_t limit) {
    const std::lock_guard<std::mutex> lock(mutex);
    mappings.push_back({address, bytes, limit});
    before = resident();
    watching = true;
}

void unwatch(void* address) {
    const std::lock_guard<std::mutex> lock(mutex);
    std::erase_if(mappings, [=](const Mapping& m) { return m.address == address; });
    watching = !mappings.empty();
}

int64_t resident() {
#ifdef __linux__
    long long total = 0, pages = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr) return 0;
    const bool read = std::fscanf(file, "%lld %lld", &total, &pages) == 2;
    std::fclose(file);
    return read ? int64_t(pages) * sysconf(_SC_PAGESIZE) : 0;
#else
    return 0;
#endif
}

void release_if_due() {
    if (!watching.load(std::memory_order_relaxed)) return;
    const std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
    if (!lock.owns_lock()) return;  // another thread is at it
    const auto now = std::chrono::steady_clock::now();
    if (now - last < kEvery) return;
    last = now;
    int64_t limit = std::numeric_limits<int64_t>::max();
    for (const Mapping& m : mappings) limit = m.limit < limit ? m.limit : limit;
    if (mappings.empty()) return;
    int64_t now_resident = resident();
    if (now_resident - before > growth) growth = now_resident - before;
    if (now_resident + growth > limit) {
        for (const Mapping& m : mappings) advise(m, MADV_DONTNEED);
        now_resident = resident();
    }
    before = now_resident;
}

}  // namespace onefold::residency
