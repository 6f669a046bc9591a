// Python's view of the native core: conversions only, no mathematics.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <stdexcept>

#include "executor/dispatch.hpp"
#include "executor/executor.hpp"
#include "executor/float_environment.hpp"
#include "executor/row_window.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace onefold;

using AnyArray = nb::ndarray<nb::device::cpu>;
using ConstArray = nb::ndarray<nb::ro, nb::device::cpu>;
using Doubles = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Record = nb::ndarray<double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Order = nb::ndarray<const uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// One kernel, `repeat` times, on operands given as (array, stride, width) or (array, stride, width, panel);
// the array may be None.
static void run_kernel(const std::string& name, const std::string& dtype, const std::string& level,
                       const std::vector<nb::tuple>& operands, int64_t rows, int64_t first_row,
                       const std::vector<double>& numbers, uint64_t seed, uint32_t update, int64_t begin,
                       int64_t end, int64_t panels, bool resume, bool streamed, int64_t repeat) {
    if (operands.size() > size_t(kMaxOperands)) throw std::invalid_argument("too many operands");
    const FloatEnvironment environment;
    Call call;
    for (size_t i = 0; i < operands.size(); ++i) {
        const nb::tuple& given = operands[i];
        const auto array = nb::cast<std::optional<AnyArray>>(given[0]);
        call.operand[i] = {array ? array->data() : nullptr, nb::cast<int64_t>(given[1]),
                           nb::cast<int64_t>(given[2])};
        if (given.size() > 3) call.operand[i].panel = nb::cast<int64_t>(given[3]);
    }
    call.rows = rows;
    call.first_row = first_row;
    call.numbers = numbers.data();
    call.seed = seed;
    call.update = update;
    call.begin = begin;
    call.end = end;
    call.panels = panels;
    call.resume = resume;
    call.streamed = streamed;
    const Kernel kernel = find_kernel(kernel_table(level), name, dtype == "float64");
    for (int64_t i = 0; i < repeat; ++i) kernel(call);
}

// Whether no element of a float32 or float64 array (rows, columns) is NaN or beyond the limit.
static bool all_within(nb::ndarray<nb::ro, nb::ndim<2>, nb::device::cpu> array, double limit, int threads) {
    static const Kernel kernels[] = {find_kernel(kernel_table(), "within", false),
                                     find_kernel(kernel_table(), "within", true)};
    const bool is_double = array.dtype() == nb::dtype<double>();
    if (!is_double && array.dtype() != nb::dtype<float>())
        throw std::invalid_argument("the array must be float32 or float64");
    int64_t rows = int64_t(array.shape(0)), width = int64_t(array.shape(1)), stride = array.stride(0);
    if (rows == 1 || stride == width) {  // one long row
        width *= rows;
        rows = 1;
    } else if (width > 1 && array.stride(1) != 1) {
        throw std::invalid_argument("the columns must stand side by side");
    }
    constexpr int64_t worth_threads = 1 << 20;  // bytes
    const int64_t bytes = is_double ? 8 : 4, count = rows == 1 ? width : rows;
    const int parts =
        rows * width * bytes < worth_threads ? 1 : std::clamp(threads, 1, ThreadPool::kMaxThreads);
    double within[ThreadPool::kMaxThreads] = {};
    nb::gil_scoped_release released;
    const FloatEnvironment environment;
    ThreadPool::shared().run(parts, parts, [&](int64_t part, int) {
        const int64_t begin = count * part / parts, end = count * (part + 1) / parts;
        const int64_t at = begin * (rows == 1 ? 1 : stride) * bytes;
        Call call;
        call.operand[0].data = &within[part];
        call.operand[1] = {static_cast<std::byte*>(const_cast<void*>(array.data())) + at, stride,
                           rows == 1 ? end - begin : width};
        call.rows = rows == 1 ? 1 : end - begin;
        call.numbers = &limit;
        kernels[is_double](call);
    });
    return std::all_of(within, within + parts, [](double each) { return each != 0; });
}

// Whether columns of a float32 or float64 array (rows, columns) hold codes: whole numbers from 0 up. `limits`
// are pairs: the column, and the number that its codes are below.
static bool all_codes(nb::ndarray<nb::ro, nb::ndim<2>, nb::device::cpu> array,
                      const std::vector<double>& limits) {
    static const Kernel kernels[] = {find_kernel(kernel_table(), "are_codes", false),
                                     find_kernel(kernel_table(), "are_codes", true)};
    const bool is_double = array.dtype() == nb::dtype<double>();
    if (!is_double && array.dtype() != nb::dtype<float>())
        throw std::invalid_argument("the array must be float32 or float64");
    const int64_t width = int64_t(array.shape(1));
    if (width > 1 && array.stride(1) != 1) throw std::invalid_argument("the columns must stand side by side");
    for (size_t i = 0; i < limits.size(); i += 2)
        if (!(limits[i] >= 0 && limits[i] < double(width))) throw std::invalid_argument("no such column");
    double all = 0;
    Call call;
    call.operand[0].data = &all;
    call.operand[1] = {const_cast<void*>(array.data()), array.stride(0), width};
    call.rows = int64_t(array.shape(0));
    call.numbers = limits.data();
    call.end = int64_t(limits.size() / 2);
    nb::gil_scoped_release released;
    const FloatEnvironment environment;
    kernels[is_double](call);
    return all != 0;
}

// A 2-d array whose columns stand side by side, as a source of the given gather kernel.
static Source source(const ConstArray& array, const char* gather_or_null) {
    if (array.ndim() != 2 || (array.shape(1) > 1 && array.stride(1) != 1))
        throw std::invalid_argument("an array must have two dimensions and columns side by side");
    Source s;
    s.data = array.data();
    s.stride = array.shape(0) > 1 ? array.stride(0) : int64_t(array.shape(1));
    s.element_bytes = int64_t(array.itemsize());
    if (gather_or_null != nullptr)
        s.gather = gather_or_null;
    else if (array.dtype() == nb::dtype<float>())
        s.gather = "gather_float32";
    else if (array.dtype() == nb::dtype<double>())
        s.gather = "gather_float64";
    else if (array.dtype() == nb::dtype<uint8_t>())
        s.gather = "gather_uint8";
    else if (array.dtype() == nb::dtype<int32_t>())
        s.gather = "gather_labels";
    else
        throw std::invalid_argument("an array must be float32, float64, uint8 or (labels) int32");
    return s;
}

static Data make_data(const ConstArray& inputs, const std::optional<ConstArray>& targets,
                      const std::optional<ConstArray>& weights, const std::optional<Order>& order) {
    Data data;
    data.inputs = source(inputs, nullptr);
    data.rows = int64_t(inputs.shape(0));
    if (targets) data.targets = source(*targets, nullptr);
    if (weights) data.weights = source(*weights, nullptr);
    for (const auto* array : {&targets, &weights})
        if (*array && int64_t((*array)->shape(0)) != data.rows)
            throw std::invalid_argument("arrays must have the same number of rows");
    if (order) {
        if (int64_t(order->shape(0)) != data.rows) throw std::invalid_argument("order must name every row");
        data.order = order->data();
    }
    return data;
}

using OperationTuple = std::tuple<std::string, std::vector<std::pair<int, int>>, std::vector<double>, double>;
using StageTuple = std::tuple<int, std::vector<OperationTuple>>;
using BufferTuple = std::tuple<bool, int64_t, int64_t, int64_t, int64_t, int64_t>;

static Program make_program(bool is_double, const std::vector<BufferTuple>& buffers,
                            const std::vector<StageTuple>& stages, const std::vector<bool>& transposed,
                            int loss_buffer, int64_t micro_batch, int64_t row_tile, int threads,
                            int64_t micro_batch_bytes, int64_t tile_bytes) {
    Program program;
    program.is_double = is_double;
    for (const auto& [whole, width, stride, panel, element_bytes, offset] : buffers)
        program.buffers.push_back({whole, width, stride, panel, element_bytes, offset});
    for (const auto& [kind, operations] : stages) {
        Stage stage{StageKind(kind), {}};
        for (const auto& [kernel, operands, numbers, cost] : operations) {
            Operation operation{kernel, {}, numbers, cost};
            if (operands.size() > size_t(kMaxOperands)) throw std::invalid_argument("too many operands");
            for (const auto& [place, index] : operands) operation.operands.push_back({Place(place), index});
            stage.operations.push_back(std::move(operation));
        }
        program.stages.push_back(std::move(stage));
    }
    program.transposed = transposed;
    program.loss_buffer = loss_buffer;
    program.micro_batch = micro_batch;
    program.row_tile = row_tile;
    program.threads = threads;
    program.micro_batch_bytes = micro_batch_bytes;
    program.tile_bytes = tile_bytes;
    return program;
}

// Ctrl-C is noticed while the executor runs: between micro-batches it asks Python for signals.
static void poll_signals() {
    nb::gil_scoped_acquire held;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

// The host stage as a Python function of (rows, first row, [2-d views of the operands]).
struct PythonHost {
    std::shared_ptr<nb::object> function;  // shared: a copy of the host must not need the interpreter
    bool is_double;

    void operator()(int64_t rows, int64_t first_row, const std::vector<Operand>& operands) const {
        nb::gil_scoped_acquire held;
        nb::list views;
        for (size_t i = 0; i < operands.size(); ++i) {
            const Operand& o = operands[i];
            if (o.data == nullptr) {
                views.append(nb::none());
                continue;
            }
            const size_t shape[2] = {size_t(rows), size_t(o.width)};
            const int64_t strides[2] = {o.stride, 1};
            const nb::dlpack::dtype dtype = is_double || i == 0 ? nb::dtype<double>() : nb::dtype<float>();
            views.append(nb::cast(nb::ndarray<nb::numpy>(o.data, 2, shape, nb::handle(), strides, dtype),
                                  nb::rv_policy::reference));
        }
        (*function)(rows, first_row, views);
    }
};

// The cyclic collector has to see the host's function: it is often in the globals of a script, with the
// network that holds the executor.
static int traverse_executor(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (!nb::inst_ready(self)) return 0;
    const PythonHost* host = nb::inst_ptr<Executor>(self)->host.target<PythonHost>();
    if (host != nullptr) Py_VISIT(host->function->ptr());
    return 0;
}

static int clear_executor(PyObject* self) {
    if (nb::inst_ready(self)) const Executor::Host gone = std::move(nb::inst_ptr<Executor>(self)->host);
    return 0;
}

static PyType_Slot executor_slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse_executor)},
                                       {Py_tp_clear, reinterpret_cast<void*>(clear_executor)},
                                       {0, nullptr}};

static void bind_store(nb::module_& m) {
    nb::class_<Store>(m, "Store")
        .def(nb::init<const std::vector<std::pair<int64_t, int64_t>>&, bool>(), "shapes"_a, "is_double"_a)
        .def_ro("version", &Store::version)
        .def_prop_ro("nbytes", &Store::bytes)
        .def("fill_zero", &Store::fill_zero)
        .def("copy_from", &Store::copy_from)
        .def("set",
             [](Store& store, int64_t matrix, nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu> values) {
                 const Matrix& to = store.matrices().at(size_t(matrix));
                 const auto wanted = store.is_double() ? nb::dtype<double>() : nb::dtype<float>();
                 if (int64_t(values.size()) != to.rows * to.columns || values.dtype() != wanted)
                     throw std::invalid_argument("values must have the parameter's shape and type");
                 store.set(matrix, values.data());
             })
        .def("get", [](const Store& store, int64_t matrix, nb::ndarray<nb::c_contig, nb::device::cpu> out) {
            const Matrix& from = store.matrices().at(size_t(matrix));
            const auto wanted = store.is_double() ? nb::dtype<double>() : nb::dtype<float>();
            if (int64_t(out.size()) != from.rows * from.columns || out.dtype() != wanted)
                throw std::invalid_argument("out must have the parameter's shape and type");
            store.get(matrix, out.data());
        });
}

static void bind_executor(nb::module_& m) {
    nb::class_<Program>(m, "Program")
        .def(
            "__init__",
            [](Program* self, bool is_double, const std::vector<BufferTuple>& buffers,
               const std::vector<StageTuple>& stages, const std::vector<bool>& transposed, int loss_buffer,
               int64_t micro_batch, int64_t row_tile, int threads, int64_t micro_batch_bytes,
               int64_t tile_bytes) {
                new (self)
                    Program(make_program(is_double, buffers, stages, transposed, loss_buffer, micro_batch,
                                         row_tile, threads, micro_batch_bytes, tile_bytes));
            },
            "is_double"_a, "buffers"_a, "stages"_a, "transposed"_a, "loss_buffer"_a, "micro_batch"_a,
            "row_tile"_a, "threads"_a, "micro_batch_bytes"_a, "tile_bytes"_a);

    nb::class_<Executor>(m, "Executor", nb::type_slots(executor_slots))
        .def(
            "__init__",
            [](Executor* self, const Program& program, std::shared_ptr<Store> parameters,
               std::shared_ptr<Store> gradient, uint64_t seed) {
                new (self) Executor(program, std::move(parameters), std::move(gradient), seed);
                self->poll = poll_signals;
            },
            "program"_a, "parameters"_a, "gradient"_a.none(), "seed"_a)
        .def_prop_ro("nbytes", &Executor::bytes)
        .def_prop_ro("threads", &Executor::threads)
        .def_rw("window_rows", &Executor::window_rows)
        .def_prop_rw(
            "mode",
            [](const Executor& self) { return self.mode ? std::optional(int(*self.mode)) : std::nullopt; },
            [](Executor& self, std::optional<int> mode) {
                if (mode && (*mode < 0 || *mode > int(Mode::alone)))
                    throw std::invalid_argument("no such mode");
                self.mode = mode ? std::optional(Mode(*mode)) : std::nullopt;
            },
            nb::arg("mode").none())
        .def("set_host",
             [](Executor& self, nb::object function, bool is_double) {
                 self.host = PythonHost{std::make_shared<nb::object>(std::move(function)), is_double};
             })
        .def(
            "set_update_rule",
            [](Executor& self, const std::string& kernel, const std::vector<bool>& decayed, double clip_value,
               double clip_norm, std::vector<std::shared_ptr<Store>> states, double scale) {
                self.set_update_rule({kernel, decayed, clip_value, clip_norm, scale}, std::move(states));
            },
            "kernel"_a, "decayed"_a, "clip_value"_a, "clip_norm"_a, "states"_a, "scale"_a = 1.0)
        .def(
            "train",
            [](Executor& self, ConstArray inputs, ConstArray targets, std::optional<ConstArray> weights,
               std::optional<Order> order, int64_t batch_size, int64_t first_batch, uint32_t first_update,
               Doubles scalars, double seconds, double loss, double weight, std::optional<Record> record) {
                const Data data = make_data(inputs, targets, weights, order);
                Executor::Updates updates;
                updates.batch_size = batch_size;
                updates.first_batch = first_batch;
                updates.count = int64_t(scalars.shape(0));
                updates.first_update = first_update;
                updates.scalars = scalars.data();
                updates.scalar_count = int64_t(scalars.shape(1));
                updates.seconds = seconds;
                if (record) {
                    updates.record = record->data();
                    updates.record_count = int64_t(record->shape(1));
                    if (int64_t(record->shape(0)) < updates.count || updates.record_count < 2)
                        throw std::invalid_argument("a record has a row for each update and 2 or 3 columns");
                }
                if (batch_size < 1 || first_batch < 0 ||
                    (first_batch + updates.count - 1) * batch_size >= data.rows)
                    throw std::invalid_argument("more updates than the data have batches");
                Totals totals{loss, weight};
                Executor::Result result;
                {
                    nb::gil_scoped_release released;
                    result = self.train(data, updates, totals);
                }
                return std::make_tuple(int(result.outcome), result.updates, totals.loss, totals.weight,
                                       result.last.loss, result.last.weight);
            },
            "inputs"_a, "targets"_a, "weights"_a.none(), "order"_a.none(), "batch_size"_a, "first_batch"_a,
            "first_update"_a, "scalars"_a, "seconds"_a, "loss"_a, "weight"_a, "record"_a = nb::none())
        .def("stop", &Executor::stop)
        .def("watch_inputs", &Executor::watch_inputs, "on"_a)
        .def_prop_ro("inputs_finite", &Executor::inputs_finite)
        .def("set_profiling", &Executor::set_profiling, "on"_a)
        .def("profile", &Executor::profile)
        .def("begin", &Executor::begin, nb::call_guard<nb::gil_scoped_release>())
        .def(
            "add",
            [](Executor& self, ConstArray inputs, ConstArray targets, std::optional<ConstArray> weights) {
                const Data data = make_data(inputs, targets, weights, std::nullopt);
                nb::gil_scoped_release released;
                self.add(data);
            },
            "inputs"_a, "targets"_a, "weights"_a.none())
        .def("accumulated",
             [](const Executor& self) {
                 return std::make_pair(self.accumulated().loss, self.accumulated().weight);
             })
        .def("gradient_norm", &Executor::gradient_norm)
        .def("weight_squares", &Executor::weight_squares)
        .def("finish",
             [](Executor& self, Doubles scalars) {
                 nb::gil_scoped_release released;
                 return self.finish(scalars.data(), int64_t(scalars.shape(1)));
             })
        .def(
            "forward",
            [](Executor& self, ConstArray inputs, nb::ndarray<nb::ndim<2>, nb::c_contig, nb::device::cpu> out,
               bool watched) {
                const Data data = make_data(inputs, std::nullopt, std::nullopt, std::nullopt);
                if (out.shape(0) != inputs.shape(0)) throw std::invalid_argument("out has too few rows");
                nb::gil_scoped_release released;
                return self.forward(data, out.data(), int64_t(out.shape(1)), watched);
            },
            "inputs"_a, "out"_a, "watched"_a)
        .def(
            "evaluate",
            [](Executor& self, ConstArray inputs, ConstArray targets, std::optional<ConstArray> weights) {
                const Data data = make_data(inputs, targets, weights, std::nullopt);
                Totals totals;
                {
                    nb::gil_scoped_release released;
                    totals = self.evaluate(data);
                }
                return std::make_pair(totals.loss, totals.weight);
            },
            "inputs"_a, "targets"_a, "weights"_a.none());
}

NB_MODULE(_core, m) {
    m.attr("PANEL") = kPanel;
    m.attr("UPDATE_ROWS") = kUpdateRows;
    m.attr("MAX_THREADS") = ThreadPool::kMaxThreads;
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
    nb::register_exception_translator([](const std::exception_ptr& error, void*) {
        try {
            std::rethrow_exception(error);
        } catch (const ReadError& read_error) {
            PyErr_SetString(PyExc_OSError, read_error.what());
        }
    });
    m.def(
        "read_by_position",
        [](nb::ndarray<nb::ro, nb::device::cpu> a, int descriptor, int64_t offset, bool ours) {
            read_by_position(a.data(), a.nbytes(), descriptor, offset, ours);
        },
        "array"_a, "descriptor"_a, "offset"_a, "ours"_a = false);
    m.def("forget", [](nb::ndarray<nb::ro, nb::device::cpu> a) { forget(a.data()); }, "array"_a);
    m.def(
        "row_file",
        [](nb::ndarray<nb::ro, nb::device::cpu> a) -> std::optional<std::pair<int, int64_t>> {
            const auto file = row_file_of(a.data());
            if (!file) return std::nullopt;
            return std::make_pair(file->descriptor, file->offset);
        },
        "array"_a);
    m.def("window_bytes", &RowWindow::bytes, "window_rows"_a, "row_bytes"_a, "file_rows"_a, "ordered"_a,
          "threads"_a);
    m.def("all_within", &all_within, "array"_a, "limit"_a, "threads"_a = 1);
    m.def("all_codes", &all_codes, "array"_a, "limits"_a);
    m.def("run_kernel", &run_kernel, "name"_a, "dtype"_a, "level"_a, "operands"_a, "rows"_a,
          "first_row"_a = 0, "numbers"_a = std::vector<double>{}, "seed"_a = 0, "update"_a = 0, "begin"_a = 0,
          "end"_a = 0, "panels"_a = 1, "resume"_a = false, "streamed"_a = false, "repeat"_a = 1);
    bind_store(m);
    bind_executor(m);
}
