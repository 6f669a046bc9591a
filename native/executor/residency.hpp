// Keeps the resident memory of the process under a limit while rows are read from mapped files.
//
// Pages of a mapped file count as resident once they are touched, although the system can always read
// them again. While a limit is set, the executor asks between tiles, at most every 200 microseconds,
// how much is resident, and gives the pages of the watched mappings back when it is too much. They stay
// in the system's page cache. Linux only; elsewhere nothing happens.
#pragma once

#include <cstddef>
#include <cstdint>

namespace onefold::residency {

// Watches shared mappings of files (never private memory: its contents would be lost). `limit` is in
// bytes of the whole process.
void watch(void* address, size_t bytes, int64_t limit);
void unwatch(void* address);

// Gives the pages of all watched mappings back where the process is over the limit.
void release_if_due();

// Bytes that are resident now; 0 where the system does not say.
int64_t resident();

}  // namespace onefold::residency
