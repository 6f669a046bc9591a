#include "executor/row_window.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "executor/thread_pool.hpp"

namespace onefold {

namespace {

constexpr int64_t kChunkBytes = 256 << 10;
constexpr int64_t kLargePage = 2 << 20;
// So much of a mapping each thread reads at a time at most, and this part of the window's bytes; where that
// is less than a large page, nothing.
constexpr int64_t kPieceBytes = 4 << 20;
constexpr int64_t kWindowPerPiece = 8;
// A read costs as much as copying so many bytes more in a larger one.
constexpr int64_t kBytesPerRead = 8 << 10;

struct Mapping {
    const std::byte* address;
    size_t bytes;
    RowFile file;  // of the first byte
};
std::mutex mappings_mutex;
std::vector<Mapping> mappings;

int64_t rows_of_chunk(int64_t row_bytes) {
    return std::max<int64_t>(1, kChunkBytes / row_bytes);
}

int64_t chunks_of(int64_t file_rows, int64_t row_bytes) {
    const int64_t rows = rows_of_chunk(row_bytes);
    return (file_rows + rows - 1) / rows;
}

// Chunks that are read through a mapping at a time.
int64_t chunks_of_piece(int64_t window_rows, int64_t row_bytes) {
    const int64_t bytes = std::min(kPieceBytes, window_rows * row_bytes / kWindowPerPiece);
    return bytes < kLargePage ? 0 : bytes / (rows_of_chunk(row_bytes) * row_bytes);
}

// What is then resident of it at most, in large pages.
int64_t resident_bytes(int64_t window_rows, int64_t row_bytes) {
    const int64_t piece = chunks_of_piece(window_rows, row_bytes) * rows_of_chunk(row_bytes) * row_bytes;
    return piece == 0 ? 0 : (piece + 2 * kLargePage - 2) / kLargePage * kLargePage;
}

}  // namespace

// A mapping of the file's rows, of which pieces are given back.
class FileMapping {
public:
    FileMapping(const RowFile& file, int64_t bytes) {
        const int64_t begin = file.offset / kLargePage * kLargePage;  // large pages begin there
        bytes_ = size_t(file.offset + bytes - begin);
        void* start = mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file.descriptor, begin);
        if (start == MAP_FAILED) return;
        start_ = static_cast<std::byte*>(start);
        rows_ = start_ + (file.offset - begin);
    }
    FileMapping(const FileMapping&) = delete;
    FileMapping& operator=(const FileMapping&) = delete;
    ~FileMapping() {
        if (start_ != nullptr) munmap(start_, bytes_);
    }

    const std::byte* rows() const { return rows_; }  // null where the system would not map them

    // Bytes [first, last) of the rows need not be resident any longer. Large pages go whole, because to split
    // one interrupts the other cores once more; what another thread still reads comes back by itself.
    void give_back(int64_t first, int64_t last) const {
        const auto start = reinterpret_cast<uintptr_t>(start_), rows = reinterpret_cast<uintptr_t>(rows_);
        const uintptr_t from = (rows + uintptr_t(first)) / kLargePage * kLargePage;
        const uintptr_t to = (rows + uintptr_t(last) + kLargePage - 1) / kLargePage * kLargePage;
        const uintptr_t begin = std::max(from, start);
        madvise(reinterpret_cast<void*>(begin), std::min(to, start + bytes_) - begin, MADV_DONTNEED);
    }

private:
    std::byte* start_ = nullptr;
    const std::byte* rows_ = nullptr;
    size_t bytes_ = 0;
};

void read_by_position(const void* address, size_t bytes, int descriptor, int64_t offset, bool ours) {
    const std::lock_guard<std::mutex> lock(mappings_mutex);
    const auto* first = static_cast<const std::byte*>(address);
    mappings.push_back({first, bytes, {descriptor, offset, ours}});
}

void forget(const void* address) {
    const std::lock_guard<std::mutex> lock(mappings_mutex);
    const auto found = std::find_if(mappings.rbegin(), mappings.rend(),
                                    [=](const Mapping& m) { return m.address == address; });
    if (found != mappings.rend()) mappings.erase(std::next(found).base());
}

std::optional<RowFile> row_file_of(const void* address) {
    const std::lock_guard<std::mutex> lock(mappings_mutex);
    const auto* wanted = static_cast<const std::byte*>(address);
    for (const Mapping& m : mappings)
        if (wanted >= m.address && wanted < m.address + m.bytes)
            return RowFile{m.file.descriptor, m.file.offset + (wanted - m.address), m.file.ours};
    return std::nullopt;
}

int64_t RowWindow::bytes(int64_t window_rows, int64_t row_bytes, int64_t file_rows, bool ordered,
                         int threads) {
    const int64_t rows = window_rows * row_bytes;
    if (!ordered || window_rows >= file_rows) return rows;
    const int64_t of_thread = rows_of_chunk(row_bytes) * row_bytes + resident_bytes(window_rows, row_bytes);
    return rows + 8 * window_rows + threads * (4 * chunks_of(file_rows, row_bytes) + of_thread);
}

int64_t RowWindow::memory_bytes() const {
    int64_t total = int64_t(rows_.size() + slots_.size() + slot_rows_.size() + ends_.size());
    for (const Memory& buffer : buffers_) total += int64_t(buffer.size());
    return total;
}

void RowWindow::open(const RowFile& file, int64_t row_bytes, int64_t file_rows, const uint32_t* order,
                     int64_t window_rows, int threads) {
    open_ = true;
    window_rows = std::min(window_rows, file_rows);
    const bool same_place = file.descriptor == file_.descriptor && file.offset == file_.offset;
    const bool same_size = row_bytes == row_bytes_ && file_rows == file_rows_ && window_rows == window_rows_;
    const bool same = same_place && same_size && threads == threads_;
    file_ = file;
    if (same && (order == order_ || (order != nullptr && order_ != nullptr && holds_all()))) {
        order_ = order;
        return;
    }
    if (!same_size || (order != nullptr) != (order_ != nullptr) || threads != threads_) {
        buffers_.clear();
        rows_ = Memory(size_t(window_rows * row_bytes));
        const bool sorted = order != nullptr && window_rows < file_rows;
        slots_ = Memory(sorted ? size_t(4 * window_rows) : 0);
        slot_rows_ = Memory(sorted ? size_t(4 * window_rows) : 0);
        ends_ = Memory(sorted ? size_t(4 * threads * chunks_of(file_rows, row_bytes)) : 0);
        for (int worker = 0; sorted && worker < threads; ++worker)
            buffers_.emplace_back(size_t(rows_of_chunk(row_bytes) * row_bytes));
    }
    row_bytes_ = row_bytes;
    file_rows_ = file_rows;
    window_rows_ = window_rows;
    order_ = order;
    threads_ = threads;
    held_ = 0;
}

void RowWindow::hold(int64_t first, int64_t rows) {
    if (first >= first_ && first + rows <= first_ + held_) return;
    first_ = holds_all() ? 0 : first;
    held_ = std::min(window_rows_, file_rows_ - first_);
    failure_ = 0;
    if (order_ == nullptr || holds_all())
        read_as_they_stand();
    else
        read_in_order();
    if (failure_ == 0) return;
    held_ = 0;
    throw ReadError(failure_ == ENODATA
                        ? std::string("the file of the rows is shorter than it was; leave it as it is")
                        : std::string("the file of the rows could not be read: ") + std::strerror(failure_));
}

void RowWindow::read_as_they_stand() {
    const int64_t bytes = held_ * row_bytes_, pieces = (bytes + kChunkBytes - 1) / kChunkBytes;
    ThreadPool::shared().run(threads_, pieces, [&](int64_t piece, int) {
        const int64_t begin = piece * kChunkBytes;
        read(rows_.data() + begin, std::min(kChunkBytes, bytes - begin), first_ * row_bytes_ + begin);
    });
}

// Counting sort of the window's places by the chunk that their row is in, then piece by piece. Each thread
// sorts a part of the places; within a chunk, slots follow the parts.
void RowWindow::read_in_order() {
    const int64_t chunks = chunks_of(file_rows_, row_bytes_), parts = threads_;
    const auto chunk_rows = uint32_t(rows_of_chunk(row_bytes_));
    auto* slots = reinterpret_cast<uint32_t*>(slots_.data());
    auto* slot_rows = reinterpret_cast<uint32_t*>(slot_rows_.data());
    const uint32_t* order = order_ + first_;
    auto& pool = ThreadPool::shared();
    pool.run(threads_, parts, [&](int64_t part, int) {
        uint32_t* ends = ends_of(part);
        std::fill_n(ends, chunks, 0);
        for (int64_t place = held_ * part / parts; place < held_ * (part + 1) / parts; ++place)
            ++ends[order[place] / chunk_rows];
    });
    uint32_t sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
        for (int64_t part = 0; part < parts; ++part) {
            const uint32_t count = ends_of(part)[chunk];
            ends_of(part)[chunk] = sum;
            sum += count;
        }
    // Now the part's slots of a chunk begin there; counting up, they end there.
    pool.run(threads_, parts, [&](int64_t part, int) {
        uint32_t* ends = ends_of(part);
        for (int64_t place = held_ * part / parts; place < held_ * (part + 1) / parts; ++place) {
            const uint32_t row = order[place], slot = ends[row / chunk_rows]++;
            slots[place] = slot;
            slot_rows[slot] = row;
        }
    });
    const int64_t step = chunks_of_piece(window_rows_, row_bytes_);
    std::optional<FileMapping> mapping;
    if (file_.ours && step > 0) mapping.emplace(file_, file_rows_ * row_bytes_);
    const FileMapping* mapped = mapping && mapping->rows() != nullptr ? &*mapping : nullptr;
    const int64_t size = std::max<int64_t>(1, step);
    pool.run(threads_, (chunks + size - 1) / size, [&](int64_t piece, int worker) {
        read_piece(piece * size, std::min((piece + 1) * size, chunks), mapped, worker);
    });
}

void RowWindow::read_piece(int64_t begin, int64_t end, const FileMapping* mapping, int worker) {
    const int64_t first = begin * rows_of_chunk(row_bytes_) * row_bytes_;
    const int64_t last = std::min(end * rows_of_chunk(row_bytes_), file_rows_) * row_bytes_;
    if (mapping == nullptr || !is_cached(first, last - first)) {
        for (int64_t chunk = begin; chunk < end; ++chunk) read_chunk(chunk, buffers_[size_t(worker)].data());
        return;
    }
    for (int64_t chunk = begin; chunk < end; ++chunk) copy_rows(chunk, mapping->rows(), 0);
    mapping->give_back(first, last);
}

void RowWindow::read_chunk(int64_t chunk, std::byte* buffer) {
    const uint32_t* ends = ends_of(threads_ - 1);
    const auto* slot_rows = reinterpret_cast<const uint32_t*>(slot_rows_.data());
    const uint32_t begin = chunk == 0 ? 0 : ends[chunk - 1], end = ends[chunk];
    const int64_t first = chunk * rows_of_chunk(row_bytes_) * row_bytes_;
    const int64_t bytes = std::min(rows_of_chunk(row_bytes_) * row_bytes_, file_rows_ * row_bytes_ - first);
    if ((end - begin) * kBytesPerRead > bytes) {
        read(buffer, bytes, first);
        copy_rows(chunk, buffer, first);
        return;
    }
    for (uint32_t slot = begin; slot < end; ++slot)
        read(rows_.data() + slot * row_bytes_, row_bytes_, slot_rows[slot] * row_bytes_);
}

// Appends a chunk's rows to the window; `from`: where byte `first` of the rows in the file stands.
void RowWindow::copy_rows(int64_t chunk, const std::byte* from, int64_t first) {
    const uint32_t* ends = ends_of(threads_ - 1);
    const auto* slot_rows = reinterpret_cast<const uint32_t*>(slot_rows_.data());
    const uint32_t begin = chunk == 0 ? 0 : ends[chunk - 1], end = ends[chunk];
    for (uint32_t slot = begin; slot < end; ++slot)
        std::memcpy(rows_.data() + slot * row_bytes_, from + (slot_rows[slot] * row_bytes_ - first),
                    size_t(row_bytes_));
}

// Whether the system's page cache holds all of this; false where the system does not say.
bool RowWindow::is_cached(int64_t at, int64_t bytes) const {
#if defined(__linux__) && !defined(__alpha__)
    constexpr long kCachestat = 451;  // Linux 6.5; the headers may be older
    const auto page = uint64_t(sysconf(_SC_PAGESIZE));
    const auto first = uint64_t(file_.offset + at) / page,
               last = uint64_t(file_.offset + at + bytes - 1) / page;
    const struct {
        uint64_t offset, bytes;
    } range = {first * page, (last - first + 1) * page};
    struct {
        uint64_t cached, dirty, in_writing, evicted, recently_evicted;
    } pages = {};
    return syscall(kCachestat, file_.descriptor, &range, &pages, 0) == 0 && pages.cached == last - first + 1;
#else
    (void)at, (void)bytes;
    return false;
#endif
}

void RowWindow::read(void* to, int64_t bytes, int64_t at) {
    for (int64_t done = 0; done < bytes;) {
        const ssize_t got = pread(file_.descriptor, static_cast<std::byte*>(to) + done, size_t(bytes - done),
                                  file_.offset + at + done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            std::atomic_ref<int>(failure_).store(got == 0 ? ENODATA : errno, std::memory_order_relaxed);
            return;
        }
        done += got;
    }
}

}  // namespace onefold
