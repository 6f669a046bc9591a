// Finds the kernel of a name for an instruction set; chooses the instruction set.
#pragma once

#include <string>
#include <vector>

#include "kernel.hpp"

namespace onefold {

// The levels that this build has and this processor can run, the fastest first.
const std::vector<KernelTable>& available_levels();

// The table of a level by name; "" gives the fastest, or the one that ONEFOLD_ISA names.
// Throws std::invalid_argument naming the levels there are.
const KernelTable& kernel_table(const std::string& level = "");

// Throws std::invalid_argument when the table has no kernel of that name.
Kernel find_kernel(const KernelTable& table, const std::string& name, bool is_double);

}  // namespace onefold
