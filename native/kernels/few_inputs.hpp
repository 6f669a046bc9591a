// Linear layers with up to four inputs (backward: outputs), whose weights stay in registers while the rows
// pass: there is no register tile to fill and to store for so few steps.
//
// Shapes, layout and chains are those of linear.hpp, step for step, and so are the bits.
// Cost: a store for each vector of z, and as many multiply-adds as there are inputs. Granite Rapids core,
// backward with relu, 64 rows, 1-100: 470 -> 230 ns, with AVX2 1,080 -> 430; forward with relu, 256 rows,
// 4-50 1.50 -> 1.34 us, with AVX2 2.46 -> 1.66.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

// C vectors of columns, from `first` on, of z = x W + b for N inputs: W and b stay in registers.
template <class T, int N, int C, Finish F, bool Streamed>
ONEFOLD_INLINE void few_inputs_columns(const Call& call, int64_t first) {
    const auto& [z, x, W, b, y] = reinterpret_cast<const Operand(&)[5]>(call.operand);
    const T* weight = static_cast<const T*>(W.data) + first / kPanel * N * kPanel + first % kPanel;
    Vec<T> start[C], right[N][C];
#pragma GCC unroll 2
    for (int v = 0; v < C; ++v) {
        start[v] = b.data ? load(static_cast<const T*>(b.data) + first + v * lanes<T>) : Vec<T>{};
#pragma GCC unroll 4
        for (int k = 0; k < N; ++k) right[k][v] = load(weight + k * kPanel + v * lanes<T>);
    }
    const T* from = static_cast<const T*>(x.data);
    T* to = row_of<T>(z, 0) + first;
    const T* gate = F == Finish::gated ? row_of<const T>(y, 0) + first : nullptr;
    // Copies: for all the compiler knows what is stored are the fields of the call.
    const int64_t rows = call.rows, x_row = x.stride, z_row = z.stride, gate_row = y.stride;
    for (int64_t r = 0; r < rows; ++r, from += x_row, to += z_row, gate += gate_row)
#pragma GCC unroll 2
        for (int v = 0; v < C; ++v) {
            Vec<T> sum = start[v];
#pragma GCC unroll 4
            for (int k = 0; k < N; ++k) sum = fma(broadcast_bits(from[k]), right[k][v], sum);
            if (F == Finish::relu) sum = larger(zero<T>(), sum);
            if (F == Finish::gated) sum = select(load(gate + v * lanes<T>) > zero<T>(), sum, zero<T>());
            Streamed ? stream(to + v * lanes<T>, sum) : store(to + v * lanes<T>, sum);
        }
}

template <class T, int N, Finish F, bool Streamed>
[[gnu::noinline]] static void few_inputs_of(const Call& call) {
    constexpr int L = lanes<T>;
    int64_t first = 0;
    for (; first + L < call.operand[2].width; first += 2 * L)
        few_inputs_columns<T, N, 2, F, Streamed>(call, first);
    if (first < call.operand[2].width) few_inputs_columns<T, N, 1, F, Streamed>(call, first);
}

template <class T, int N>
ONEFOLD_INLINE void few_inputs(const Call& call, Finish finish) {
    if (call.later != nullptr)
        for (int64_t r = 0; r < call.rows; ++r) __builtin_prefetch(call.later[r], 0, 2);
    const auto run = [&]<Finish F>() __attribute__((always_inline)) {
        call.streamed ? few_inputs_of<T, N, F, true>(call) : few_inputs_of<T, N, F, false>(call);
    };
    if (finish == Finish::plain) run.template operator()<Finish::plain>();
    if (finish == Finish::relu) run.template operator()<Finish::relu>();
    if (finish == Finish::gated) run.template operator()<Finish::gated>();
}

}  // namespace onefold::ONEFOLD_LEVEL
