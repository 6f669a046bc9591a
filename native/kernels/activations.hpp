// Activations: y = f(x), and dx = dy * f'(x), element by element.
//
// Shapes: x, y, dx, dy (rows, width), rows at a stride. Every kernel writes by `=`.
// Operands: forward y, x; backward dx, dy, then what the derivative is computed from (x or y).
// y may be x, and dx may be dy.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

// Calls f(vector of each input) for every vector of every row and stores the result.
template <class T, class F>
ONEFOLD_INLINE void map1(const Call& call, F f) {
    const int64_t width = call.operand[0].width;
    for (int64_t r = 0; r < call.rows; ++r) {
        T* y = data<T>(call, 0) + r * call.operand[0].stride;
        const T* x = data<const T>(call, 1) + r * call.operand[1].stride;
        int64_t c = 0;
        for (; c + lanes<T> <= width; c += lanes<T>) store(y + c, f(load(x + c)));
        if (c < width) store_part(y + c, f(load_part(x + c, width - c)), width - c);
    }
}

template <class T, class F>
ONEFOLD_INLINE void map2(const Call& call, F f) {
    const int64_t width = call.operand[0].width;
    for (int64_t r = 0; r < call.rows; ++r) {
        T* y = data<T>(call, 0) + r * call.operand[0].stride;
        const T* a = data<const T>(call, 1) + r * call.operand[1].stride;
        const T* b = data<const T>(call, 2) + r * call.operand[2].stride;
        int64_t c = 0;
        for (; c + lanes<T> <= width; c += lanes<T>) store(y + c, f(load(a + c), load(b + c)));
        if (c < width)
            store_part(y + c, f(load_part(a + c, width - c), load_part(b + c, width - c)), width - c);
    }
}

// relu: max(x, 0); NaN stays NaN. f'(x) = 1 where y > 0, else 0.
template <class T>
static void relu_forward(const Call& call) {
    map1<T>(call, [](Vec<T> x) { return select(x < Vec<T>{}, Vec<T>{}, x); });
}

template <class T>
static void relu_backward(const Call& call) {  // dx, dy, y
    map2<T>(call, [](Vec<T> dy, Vec<T> y) { return select(y > Vec<T>{}, dy, Vec<T>{}); });
}

#define ONEFOLD_ACTIVATION_KERNELS(X) X(relu_forward) X(relu_backward)

}  // namespace onefold::ONEFOLD_LEVEL
