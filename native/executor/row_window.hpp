// Rows in files: read by position into a planned window, in the order in which a run wants them.
//
// A mapping of a file brings as much of it into memory as the system likes (with large folios, 2 MB for
// a row), so a run within a memory budget does not touch it. `read_by_position` says which file an array
// is a mapping of; the executor then fills a window with the next rows of the epoch's order. The order
// itself is never changed.
//
// The file is read in chunks, in its own order, in parallel: a counting sort finds the rows of every
// chunk, one read brings the chunk into a cache-sized buffer, and its rows are appended to the window. So
// the window is written from its beginning to its end; a gather reads it in the run's order, through the
// slots. Where a chunk has few rows of the window, each is read by itself. A window that has room for the
// whole file is filled once and for all.
//
// A file that nobody else can cut short is read through a mapping, a piece of some megabytes at a time
// that is then given back, so that only the rows that are wanted move. Every window has a mapping of its own,
// because what the system has once mapped in small pages it goes on to map so. A page that cannot be read
// would end the process, so the system is asked first whether its page cache holds the piece; if not, the
// piece is read by position, which says what fails and reads ahead.
//
// Tried, in seconds for all of 3 million rows of 240 bytes from the page cache, in windows of 46, 19 and 9 %
// of them, two threads: reads of 256 KiB 0.083, 0.129 and 0.223; through the mapping in pieces of 512 KiB
// 0.100, 0.150 and 0.320, of 1 MiB 0.079, 0.106 and 0.199, of 4 MiB 0.067, 0.085 and 0.124, of 16 MiB 0.065,
// 0.081 and 0.107; pieces of 4 MiB that are mapped and unmapped each 0.074, 0.093 and 0.134, filled at once
// by the system (MADV_POPULATE_READ) 0.135, 0.285 and 0.535, looked up by mincore 0.084, - and 0.200. A read
// for each row takes some 1.7 microseconds a row, in ascending order too. One copy of the file in shuffled
// order for each epoch would write as much as it reads. Reading ahead in a thread of its own gains nothing
// while the file is in the page cache, because all cores compute; the system reads ahead by itself, as
// chunks ascend.
//
// Seconds of an epoch of 60-64-64-1 at 1,024 of these rows, on two Zen 4 cores, in windows of 33, 17 and 7 %
// (in memory 0.80): pieces given back to the byte 0.86, 0.88 and 0.94, in whole large pages 0.85, 0.87 and
// 0.91 (with cores far from each other, in 7 %, 1.13 and 1.07). Then also asking for the next rows of a piece
// 0.85, 0.88 and 0.91; copying rows past the caches 0.85, - and 0.90. With one mapping for all windows epochs
// grew slower, 0.91 to 0.95 within fourteen runs, as ever more of it was in small pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <vector>

#include "executor/memory.hpp"

namespace onefold {

struct RowFile {
    int descriptor = -1;
    int64_t offset = 0;  // in the file, of the address that was asked for
    bool ours = false;   // nobody else can cut it short
};

// From now on rows at these addresses are read from a file; `descriptor` stays open until `forget`.
// `ours`: nobody else can cut the file short.
void read_by_position(const void* address, size_t bytes, int descriptor, int64_t offset, bool ours);
void forget(const void* address);
std::optional<RowFile> row_file_of(const void* address);

// A file could not be read, or is shorter than it was.
struct ReadError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class FileMapping;

class RowWindow {
public:
    // Bytes of a window. `ordered`: rows come in another order than the file's.
    static int64_t bytes(int64_t window_rows, int64_t row_bytes, int64_t file_rows, bool ordered,
                         int threads);

    // `order` of all rows, or null where they come as they stand. Keeps what is held while nothing changes.
    void open(const RowFile& file, int64_t row_bytes, int64_t file_rows, const uint32_t* order,
              int64_t window_rows, int threads);
    void close() { open_ = false; }
    bool is_open() const { return open_; }

    // Holds nothing any more: the file may have other contents.
    void restart() { held_ = 0; }
    // The order has been drawn anew.
    void reorder() {
        if (!holds_all()) held_ = 0;
    }
    // Makes places [first, first + rows) of the order available; throws ReadError.
    void hold(int64_t first, int64_t rows);
    // Where a gather of these places begins: with `slots`, at the beginning of the window.
    const std::byte* at(int64_t place) const {
        return rows_.data() + (order_ == nullptr ? (place - first_) * row_bytes_ : 0);
    }
    // Slots of the places from this one on; null where they are side by side.
    const uint32_t* slots(int64_t place) const {
        if (order_ == nullptr) return nullptr;
        if (holds_all()) return order_ + place;
        return reinterpret_cast<const uint32_t*>(slots_.data()) + (place - first_);
    }
    int64_t memory_bytes() const;

private:
    bool holds_all() const { return window_rows_ == file_rows_; }
    uint32_t* ends_of(int64_t part) const {
        return reinterpret_cast<uint32_t*>(ends_.data()) + part * (int64_t(ends_.size()) / 4 / threads_);
    }
    void read_as_they_stand();
    void read_in_order();
    void read_piece(int64_t begin, int64_t end, const FileMapping* mapping, int worker);  // chunks
    void read_chunk(int64_t chunk, std::byte* buffer);
    void copy_rows(int64_t chunk, const std::byte* from, int64_t first);
    bool is_cached(int64_t at, int64_t bytes) const;
    void read(void* to, int64_t bytes, int64_t at);

    bool open_ = false;
    RowFile file_;
    int64_t row_bytes_ = 0, file_rows_ = 0, window_rows_ = 0;
    const uint32_t* order_ = nullptr;
    int threads_ = 1;
    int64_t first_ = 0, held_ = 0;
    Memory rows_;
    Memory slots_;                 // of the window's places
    Memory slot_rows_;             // the row of the file in every slot
    Memory ends_;                  // of every chunk's slots, for each thread's part of the places
    std::vector<Memory> buffers_;  // one a thread
    int failure_ = 0;
};

}  // namespace onefold
