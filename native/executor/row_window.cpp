#include "executor/row_window.hpp"

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
// A read costs as much as copying so many bytes more in a larger one.
constexpr int64_t kBytesPerRead = 8 << 10;

struct Mapping {
    const std::byte* address;
    size_t bytes;
    RowFile file;
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

}  // namespace

void read_by_position(const void* address, size_t bytes, int descriptor, int64_t offset) {
    const std::lock_guard<std::mutex> lock(mappings_mutex);
    mappings.push_back({static_cast<const std::byte*>(address), bytes, {descriptor, offset}});
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
            return RowFile{m.file.descriptor, m.file.offset + (wanted - m.address)};
    return std::nullopt;
}

int64_t RowWindow::bytes(int64_t window_rows, int64_t row_bytes, int64_t file_rows, bool ordered,
                         int threads) {
    const int64_t rows = window_rows * row_bytes;
    if (!ordered || window_rows >= file_rows) return rows;
    return rows + 8 * window_rows + 4 * (chunks_of(file_rows, row_bytes) + 1) +
           threads * rows_of_chunk(row_bytes) * row_bytes;
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
        ends_ = Memory(sorted ? size_t(4 * (chunks_of(file_rows, row_bytes) + 1)) : 0);
        for (int worker = 0; sorted && worker < threads; ++worker)
            buffers_.emplace_back(size_t(rows_of_chunk(row_bytes) * row_bytes));
    }
    file_ = file;
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

// Counting sort of the window's places by the chunk that their row is in, then chunk by chunk.
void RowWindow::read_in_order() {
    const int64_t chunks = chunks_of(file_rows_, row_bytes_);
    const auto chunk_rows = uint32_t(rows_of_chunk(row_bytes_));
    auto* ends = reinterpret_cast<uint32_t*>(ends_.data());
    auto* slots = reinterpret_cast<uint32_t*>(slots_.data());
    auto* slot_rows = reinterpret_cast<uint32_t*>(slot_rows_.data());
    std::fill_n(ends, chunks + 1, 0);
    for (int64_t place = 0; place < held_; ++place) ++ends[order_[first_ + place] / chunk_rows + 1];
    for (int64_t chunk = 1; chunk <= chunks; ++chunk) ends[chunk] += ends[chunk - 1];
    // ends[c] is where chunk c begins; counting it up, where it ends.
    for (int64_t place = 0; place < held_; ++place) {
        const uint32_t row = order_[first_ + place];
        slots[place] = ends[row / chunk_rows]++;
        slot_rows[slots[place]] = row;
    }
    ThreadPool::shared().run(threads_, chunks, [&](int64_t chunk, int worker) { read_chunk(chunk, worker); });
}

void RowWindow::read_chunk(int64_t chunk, int worker) {
    const auto* ends = reinterpret_cast<const uint32_t*>(ends_.data());
    const auto* slot_rows = reinterpret_cast<const uint32_t*>(slot_rows_.data());
    const uint32_t begin = chunk == 0 ? 0 : ends[chunk - 1], end = ends[chunk];
    const int64_t first_row = chunk * rows_of_chunk(row_bytes_);
    const int64_t bytes = std::min(rows_of_chunk(row_bytes_), file_rows_ - first_row) * row_bytes_;
    const bool whole = (end - begin) * kBytesPerRead > bytes;
    std::byte* buffer = buffers_[size_t(worker)].data();
    if (whole) read(buffer, bytes, first_row * row_bytes_);
    for (uint32_t slot = begin; slot < end; ++slot) {
        std::byte* to = rows_.data() + slot * row_bytes_;
        const int64_t at = int64_t(slot_rows[slot]) * row_bytes_;
        if (whole)
            std::memcpy(to, buffer + at - first_row * row_bytes_, size_t(row_bytes_));
        else
            read(to, row_bytes_, at);
    }
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
