#include "executor/dispatch.hpp"

#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace onefold {

KernelTable kernels_portable();
#ifdef ONEFOLD_HAS_AVX2
KernelTable kernels_avx2();
KernelTable kernels_avx512();
#endif
#ifdef ONEFOLD_HAS_NEON
KernelTable kernels_neon();
#endif

const std::vector<KernelTable>& available_levels() {
    static const std::vector<KernelTable> levels = [] {
        std::vector<KernelTable> found;
#ifdef ONEFOLD_HAS_AVX2
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
            found.push_back(kernels_avx512());
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(kernels_avx2());
#endif
#ifdef ONEFOLD_HAS_NEON
        found.push_back(kernels_neon());
#endif
        found.push_back(kernels_portable());
        return found;
    }();
    return levels;
}

const KernelTable& kernel_table(const std::string& level) {
    std::string wanted = level;
    if (wanted.empty()) {
        const char* forced = std::getenv("ONEFOLD_ISA");
        if (forced == nullptr || *forced == 0) return available_levels().front();
        wanted = forced;
    }
    std::string names;
    for (const KernelTable& table : available_levels()) {
        if (wanted == table.level) return table;
        names += (names.empty() ? "" : ", ") + std::string(table.level);
    }
    throw std::invalid_argument("instruction set '" + wanted + "' is not available here; choose one of " +
                                names + (level.empty() ? " in ONEFOLD_ISA, or unset it" : ""));
}

Kernel find_kernel(const KernelTable& table, const std::string& name, bool is_double) {
    for (size_t i = 0; i < table.count; ++i)
        if (name == table.entries[i].name)
            return is_double ? table.entries[i].float64 : table.entries[i].float32;
    throw std::invalid_argument("no kernel is called '" + name + "'");
}

}  // namespace onefold
