// Python's view of the native core: conversions only, no mathematics.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>

#include "executor/dispatch.hpp"

namespace nb = nanobind;
using namespace onefold;

using AnyArray = nb::ndarray<nb::c_contig, nb::device::cpu>;

// One kernel on operands given as (array, stride, width); the array may be None.
static void run_kernel(const std::string& name, const std::string& dtype, const std::string& level,
                       const std::vector<std::tuple<std::optional<AnyArray>, int64_t, int64_t>>& operands,
                       int64_t rows, int64_t first_row, const std::vector<double>& numbers, uint64_t seed,
                       uint32_t update, int64_t begin, int64_t end, bool resume) {
    if (operands.size() > size_t(kMaxOperands)) throw std::invalid_argument("too many operands");
    Call call;
    for (size_t i = 0; i < operands.size(); ++i) {
        const auto& [array, stride, width] = operands[i];
        call.operand[i] = {array ? array->data() : nullptr, stride, width};
    }
    call.rows = rows;
    call.first_row = first_row;
    call.numbers = numbers.data();
    call.seed = seed;
    call.update = update;
    call.begin = begin;
    call.end = end;
    call.resume = resume;
    find_kernel(kernel_table(level), name, dtype == "float64")(call);
}

NB_MODULE(_core, m) {
    m.def("levels", [] {
        std::vector<std::string> names;
        for (const KernelTable& table : available_levels()) names.emplace_back(table.level);
        return names;
    });
    m.def("level", [] { return std::string(kernel_table().level); });
    m.def("kernel_names", [] {
        const KernelTable& table = available_levels().front();
        std::vector<std::string> names;
        for (size_t i = 0; i < table.count; ++i) names.emplace_back(table.entries[i].name);
        return names;
    });
    m.def("run_kernel", &run_kernel, nb::arg("name"), nb::arg("dtype"), nb::arg("level"),
          nb::arg("operands"), nb::arg("rows"), nb::arg("first_row") = 0,
          nb::arg("numbers") = std::vector<double>{}, nb::arg("seed") = 0, nb::arg("update") = 0,
          nb::arg("begin") = 0, nb::arg("end") = 0, nb::arg("resume") = false);
}
