// A block of memory, zeroed and aligned to a cache line; large blocks ask for 2 MiB pages.
//
// With 4 KiB pages the address translation alone costs a large network a sixth of its speed. Updates on two
// Granite Rapids cores, with large pages from 2 instead of 8 MiB on: 784-512-512-10 at 128 rows 1.00 to 1.06
// times as fast, 5000-64-10 at 256 and 50-200-100-10 at 10,000 1.00 to 1.04; on two Zen 4 cores, from 64 KiB
// on, six networks 0.99 to 1.02. Only whole large pages are asked for, and so no memory beyond the block.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace onefold {

inline constexpr int64_t kPageBytes = 4096;  // of the small pages, in which processors compare addresses

class Memory {
public:
    Memory() = default;
    explicit Memory(size_t bytes) : size_(bytes) {
        if (bytes == 0) return;
        mapped_ = bytes + (bytes >= kHugeFrom ? kHugePage : 0);
        void* p = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) throw std::bad_alloc();
        map_ = static_cast<std::byte*>(p);
        data_ = map_;
#ifdef MADV_HUGEPAGE
        if (bytes >= kHugeFrom) {
            const auto address = reinterpret_cast<uintptr_t>(map_);
            data_ = map_ + (kHugePage - address % kHugePage) % kHugePage;
            madvise(data_, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // whole pages only
        }
#endif
    }
    Memory(Memory&& other) noexcept { *this = static_cast<Memory&&>(other); }
    Memory& operator=(Memory&& other) noexcept {
        auto swap = [](auto& a, auto& b) {
            auto c = a;
            a = b;
            b = c;
        };
        swap(map_, other.map_);
        swap(data_, other.data_);
        swap(mapped_, other.mapped_);
        swap(size_, other.size_);
        return *this;
    }
    ~Memory() {
        if (map_ != nullptr) munmap(map_, mapped_);
    }

    std::byte* data() const { return data_; }
    size_t size() const { return size_; }

private:
    static constexpr size_t kHugePage = size_t(2) << 20;
    static constexpr size_t kHugeFrom = kHugePage;
    std::byte* map_ = nullptr;
    std::byte* data_ = nullptr;
    size_t mapped_ = 0;
    size_t size_ = 0;
};

}  // namespace onefold
