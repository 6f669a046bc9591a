// Activations: y = f(x), and dx = dy * f'(x), element by element.
//
// Shapes: x, y, dx, dy (rows, width). Every kernel writes by `=`. Row buffers must be readable and writable
// up to a multiple of 16 columns; what stands there is nobody's.
// Operands: forward y, x; backward dx, dy, then what the derivative is computed from (x or y).
// y may be x, and dx may be dy. Parameters are call.numbers, in the order of the Python table.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

// The columns of one panel. Where the rows of all operands follow one another without a gap, they are one
// long row.
struct Part {
    int64_t rows, width;
};

template <int Operands>
ONEFOLD_INLINE Part part_of(const Call& call, int64_t first) {
    const int64_t width = panel_width(call.operand[0].width, first);
    bool gaps = false;
    for (int i = 0; i < Operands; ++i) gaps = gaps || call.operand[i].stride != width;
    return gaps ? Part{call.rows, width} : Part{1, call.rows * width};
}

// Calls f(vector of each input) for every vector of every row, padding included, and stores the result.
template <class T, class F>
ONEFOLD_INLINE void map1(const Call& call, F f) {
    for (int64_t first = 0; first < call.operand[0].width; first += kPanel) {
        const Part part = part_of<2>(call, first);
        for (int64_t r = 0; r < part.rows; ++r) {
            T* y = row_of<T>(call.operand[0], r) + first;
            const T* x = row_of<const T>(call.operand[1], r) + first;
            for (int64_t c = 0; c < part.width; c += lanes<T>) store(y + c, f(load(x + c)));
        }
    }
}

template <class T, class F>
ONEFOLD_INLINE void map2(const Call& call, F f) {
    for (int64_t first = 0; first < call.operand[0].width; first += kPanel) {
        const Part part = part_of<3>(call, first);
        for (int64_t r = 0; r < part.rows; ++r) {
            T* y = row_of<T>(call.operand[0], r) + first;
            const T* a = row_of<const T>(call.operand[1], r) + first;
            const T* b = row_of<const T>(call.operand[2], r) + first;
            for (int64_t c = 0; c < part.width; c += lanes<T>) store(y + c, f(load(a + c), load(b + c)));
        }
    }
}

// Forward kernels: operands y, x. Backward kernels: dx, dy, then y or x, as the names below say.
#define ONEFOLD_FORWARD(name, ...)                                                   \
    template <class T>                                                               \
    static void name##_forward(const Call& call) {                                   \
        [[maybe_unused]] const double* p = call.numbers;                             \
        map1<T>(call, [=](Vec<T> x) __attribute__((always_inline)) { __VA_ARGS__ }); \
    }
#define ONEFOLD_BACKWARD(name, saved, ...)                                                          \
    template <class T>                                                                              \
    static void name##_backward(const Call& call) {                                                 \
        [[maybe_unused]] const double* p = call.numbers;                                            \
        map2<T>(call, [=](Vec<T> dy, Vec<T> saved) __attribute__((always_inline)) { __VA_ARGS__ }); \
    }

// Comparisons are written so that NaN falls through to the branch that keeps it.
template <class T>
ONEFOLD_INLINE Vec<T> zero() {
    return Vec<T>{};
}

// relu: max(x, 0)
ONEFOLD_FORWARD(relu, return larger(zero<T>(), x);)
ONEFOLD_BACKWARD(relu, y, return select(y > zero<T>(), dy, zero<T>());)

// relu6: min(max(x, 0), 6)
ONEFOLD_FORWARD(relu6, const Vec<T> low = larger(zero<T>(), x);
                return select(low > T(6), broadcast(T(6)), low);)
ONEFOLD_BACKWARD(relu6, y, return select((y > zero<T>()) & (y < T(6)), dy, zero<T>());)

// leaky_relu: x, or p0 x below zero (p0 >= 0, so the sign of y is that of x)
ONEFOLD_FORWARD(leaky_relu, return select(x < zero<T>(), x* T(p[0]), x);)
ONEFOLD_BACKWARD(leaky_relu, x, return select(x > zero<T>(), dy, dy* T(p[0]));)

// elu: x, or p0 (exp(x) - 1) below zero. From y: f' = y + p0.
ONEFOLD_FORWARD(elu, return select(x < zero<T>(), T(p[0]) * expm1_of<T>(x), x);)
ONEFOLD_BACKWARD(elu, y, return select(y > zero<T>(), dy, dy*(y + T(p[0])));)

// celu: x, or p0 (exp(x / p0) - 1) below zero. From y: f' = y / p0 + 1.
ONEFOLD_FORWARD(celu, return select(x < zero<T>(), T(p[0]) * expm1_of<T>(x / T(p[0])), x);)
ONEFOLD_BACKWARD(celu, y, return select(y > zero<T>(), dy, dy*(y / T(p[0]) + T(1)));)

// selu: scale * elu with alpha (Klambauer et al. 2017). From y: f' = y + scale * alpha below zero.
template <class T>
inline constexpr T kSeluScale = T(1.0507009873554804934);
template <class T>
inline constexpr T kSeluNegative = T(1.0507009873554804934 * 1.6732632423543772848);
ONEFOLD_FORWARD(selu, return select(x < zero<T>(), kSeluNegative<T>* expm1_of<T>(x), kSeluScale<T>* x);)
ONEFOLD_BACKWARD(selu, y, return dy * select(y > zero<T>(), broadcast(kSeluScale<T>), y + kSeluNegative<T>);)

// gelu: x Phi(x) = x erfc(-x / sqrt 2) / 2, without cancellation for negative x (Hendrycks and Gimpel
// 2016). f' = Phi(x) + x phi(x).
template <class T>
inline constexpr T kSqrtHalf = T(0.70710678118654752440);
template <class T>
inline constexpr T kNormalDensity = T(0.39894228040143267794);
template <class T>
ONEFOLD_INLINE Vec<T> normal_cdf(Vec<T> x) {
    return erfc_of<T>(x * -kSqrtHalf<T>) * T(0.5);
}
// x * f, where f vanishes faster than x grows.
template <class T>
ONEFOLD_INLINE Vec<T> vanishing(Vec<T> x, Vec<T> f) {
    return select(f == zero<T>(), zero<T>(), x * f);
}
ONEFOLD_FORWARD(gelu, return vanishing<T>(x, normal_cdf<T>(x));)
ONEFOLD_BACKWARD(gelu, x, const Vec<T> density = kNormalDensity<T> * exp_of<T>(x * x * T(-0.5));
                 return dy * (normal_cdf<T>(x) + vanishing<T>(x, density));)

// gelu_tanh: x (1 + tanh(u)) / 2 = x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3)
template <class T>
ONEFOLD_INLINE Vec<T> gelu_twice_u(Vec<T> x) {
    constexpr T scale = T(1.5957691216057307117);
    return x * fma(x * x, broadcast(T(1.5957691216057307117 * 0.044715)), broadcast(scale));
}
ONEFOLD_FORWARD(gelu_tanh, return vanishing<T>(x, sigmoid_of<T>(gelu_twice_u<T>(x)));)
ONEFOLD_BACKWARD(gelu_tanh, x, const Vec<T> s = sigmoid_of<T>(gelu_twice_u<T>(x));
                 const Vec<T> du = fma(x * x, broadcast(T(3 * 1.5957691216057307117 * 0.044715)),
                                       broadcast(T(1.5957691216057307117)));
                 return dy * (s + vanishing<T>(x * du, s*(T(1) - s)));)

// silu: x sigmoid(x). f' = s (1 + x (1 - s)), with 1 - s = sigmoid(-x).
ONEFOLD_FORWARD(silu, return vanishing<T>(x, sigmoid_of<T>(x));)
ONEFOLD_BACKWARD(silu, x, const Vec<T> e = exp_of<T>(-abs(x)); const Vec<T> s = sigmoid_from<T>(x, e);
                 return dy * (s + vanishing<T>(x, s* sigmoid_from<T>(-x, e)));)

// hard_silu: x hard_sigmoid(x)
template <class T>
ONEFOLD_INLINE Vec<T> hard_sigmoid_of(Vec<T> x) {
    const Vec<T> line = (x + T(3)) / T(6);
    const Vec<T> low = larger(zero<T>(), line);
    return select(low > T(1), broadcast(T(1)), low);
}
ONEFOLD_FORWARD(hard_silu, return vanishing<T>(x, hard_sigmoid_of<T>(x));)
ONEFOLD_BACKWARD(hard_silu, x, const Vec<T> middle = (x * T(2) + T(3)) / T(6);
                 return dy * select(x <= T(-3), zero<T>(), select(x >= T(3), broadcast(T(1)), middle));)

// mish: x tanh(softplus(x)) (Misra 2019). With t = tanh(softplus): f' = t + x sigmoid(x) (1 - t^2).
ONEFOLD_FORWARD(mish, return vanishing<T>(x, tanh_of<T>(softplus_of<T>(x)));)
ONEFOLD_BACKWARD(mish, x, const Vec<T> e = exp_of<T>(-abs(x));
                 const Vec<T> t = tanh_of<T>(softplus_from<T>(x, e));
                 const Vec<T> s = sigmoid_from<T>(x, e) * fma(-t, t, broadcast(T(1)));
                 return dy * (t + vanishing<T>(x, s));)

// sigmoid: f' = y (1 - y)
ONEFOLD_FORWARD(sigmoid, return sigmoid_of<T>(x);)
ONEFOLD_BACKWARD(sigmoid, y, return dy * (y * (T(1) - y));)

// hard_sigmoid: min(max(x + 3, 0), 6) / 6, as PyTorch has it
ONEFOLD_FORWARD(hard_sigmoid, return hard_sigmoid_of<T>(x);)
ONEFOLD_BACKWARD(hard_sigmoid, y, return select((y > zero<T>()) & (y < T(1)), dy / T(6), zero<T>());)

// log_sigmoid: -softplus(-x). f' = sigmoid(-x).
ONEFOLD_FORWARD(log_sigmoid, return -softplus_of<T>(-x);)
ONEFOLD_BACKWARD(log_sigmoid, x, return dy * sigmoid_of<T>(-x);)

// tanh: f' = 1 - y^2
ONEFOLD_FORWARD(tanh, return tanh_of<T>(x);)
ONEFOLD_BACKWARD(tanh, y, return dy * fma(-y, y, broadcast(T(1)));)

// hard_tanh: between p0 and p1
ONEFOLD_FORWARD(hard_tanh, const Vec<T> low = select(x < T(p[0]), broadcast(T(p[0])), x);
                return select(low > T(p[1]), broadcast(T(p[1])), low);)
ONEFOLD_BACKWARD(hard_tanh, y, return select((y > T(p[0])) & (y < T(p[1])), dy, zero<T>());)

// tanh_shrink: x - tanh(x), by the series of tanh where they would cancel. f' = tanh(x)^2.
ONEFOLD_FORWARD(tanh_shrink, const Vec<T> z = x * x;
                const Vec<T> small = -(x * z) * polynomial<T>(z, kTanh<T>);
                return select(abs(x) < T(0.625), small, x - tanh_of<T>(x));)
ONEFOLD_BACKWARD(tanh_shrink, x, const Vec<T> t = tanh_of<T>(x); return dy * (t * t);)

// softplus: log(1 + exp(x)). f' = sigmoid(x).
ONEFOLD_FORWARD(softplus, return softplus_of<T>(x);)
ONEFOLD_BACKWARD(softplus, x, return dy * sigmoid_of<T>(x);)

// softsign: x / (1 + |x|). From y: f' = (1 - |y|)^2.
ONEFOLD_FORWARD(softsign, return x / (abs(x) + T(1));)
ONEFOLD_BACKWARD(softsign, y, const Vec<T> left = T(1) - abs(y); return dy * (left * left);)

// exponential: exp(x), its own derivative
ONEFOLD_FORWARD(exponential, return exp_of<T>(x);)
ONEFOLD_BACKWARD(exponential, y, return dy * y;)

// threshold: x above p0, else p1
ONEFOLD_FORWARD(threshold, return select(x <= T(p[0]), broadcast(T(p[1])), x);)
ONEFOLD_BACKWARD(threshold, x, return select(x > T(p[0]), dy, zero<T>());)

// hard_shrink: x where |x| > p0, else 0
ONEFOLD_FORWARD(hard_shrink, return select(abs(x) <= T(p[0]), zero<T>(), x);)
ONEFOLD_BACKWARD(hard_shrink, x, return select(abs(x) > T(p[0]), dy, zero<T>());)

// soft_shrink: x brought p0 nearer to zero
ONEFOLD_FORWARD(soft_shrink, const Vec<T> near = with_sign<T>(abs(x) - T(p[0]), x);
                return select(abs(x) <= T(p[0]), zero<T>(), near);)
ONEFOLD_BACKWARD(soft_shrink, x, return select(abs(x) > T(p[0]), dy, zero<T>());)

// prelu: x, or slope_c x below zero, with a learned slope for each column (He et al. 2015).
// Forward: y, x, slope. Backward: dx, dslope_rows, dy, x, slope; the sum of dslope_rows over rows is
// the gradient of the slope.
template <class T>
static void prelu_forward(const Call& call) {
    for (int64_t first = 0; first < call.operand[0].width; first += kPanel) {
        const int64_t width = panel_width(call.operand[0].width, first);
        const T* slope = data<const T>(call, 2) + first;
        for (int64_t r = 0; r < call.rows; ++r) {
            T* y = row_of<T>(call.operand[0], r) + first;
            const T* x = row_of<const T>(call.operand[1], r) + first;
            for (int64_t c = 0; c < width; ++c) y[c] = x[c] < T(0) ? x[c] * slope[c] : x[c];
        }
    }
}

template <class T>
static void prelu_backward(const Call& call) {
    for (int64_t first = 0; first < call.operand[0].width; first += kPanel) {
        const int64_t width = panel_width(call.operand[0].width, first);
        const T* slope = data<const T>(call, 4) + first;
        for (int64_t r = 0; r < call.rows; ++r) {
            T* dx = row_of<T>(call.operand[0], r) + first;
            T* dslope = row_of<T>(call.operand[1], r) + first;
            const T* dy = row_of<const T>(call.operand[2], r) + first;
            const T* x = row_of<const T>(call.operand[3], r) + first;
            for (int64_t c = 0; c < width; ++c) {
                const T slope_of = x[c] < T(0) ? dy[c] * x[c] : T(0);  // dx may be dy
                dx[c] = x[c] < T(0) ? dy[c] * slope[c] : dy[c];
                dslope[c] = slope_of;
            }
        }
    }
}

// softmax and log_softmax: over the columns of a row, the maximum taken off first. The maximum and the
// sum are 16 interleaved chains joined by one tree.
template <class T>
ONEFOLD_INLINE Vec<T> maximum_or_nan(Vec<T> a, Vec<T> b) {
    return select((b > a) | (b != b), b, a);
}

template <class T>
ONEFOLD_INLINE T row_maximum(Row<const T> x, int64_t width) {
    Lanes16<T> most = Lanes16<T>::filled(x[0]);
    for (int64_t c = 0; c < width; c += kReductionLanes)
        for (int i = 0; i < Lanes16<T>::parts; ++i) {
            const int64_t at = c + i * lanes<T>;
            if (at >= width) break;
            const int64_t left = width - at < lanes<T> ? width - at : lanes<T>;
            const Vec<T> joined = maximum_or_nan<T>(most.part[i], load_part(x + at, left));
            most.part[i] = left < lanes<T> ? select(first_lanes<T>(left), joined, most.part[i]) : joined;
        }
    return Lanes16<T>::fold(
        most, [](Vec<T> a, Vec<T> b) __attribute__((always_inline)) { return maximum_or_nan<T>(a, b); });
}

// The sum of f(c, vector of columns c ...) over a row; f's lanes beyond the width are left out.
template <class T, class F>
ONEFOLD_INLINE T row_sum(int64_t width, F f) {
    if (width == 1) return T(0) + f(0, 1)[0];  // the other lanes are zero
    Lanes16<T> sums = Lanes16<T>::filled(T(0));
    for (int64_t c = 0; c < width; c += kReductionLanes)
        for (int i = 0; i < Lanes16<T>::parts; ++i) {
            const int64_t at = c + i * lanes<T>;
            if (at >= width) break;
            const int64_t left = width - at < lanes<T> ? width - at : lanes<T>;
            Vec<T> term = f(at, left);
            if (left < lanes<T>) term = select(first_lanes<T>(left), term, Vec<T>{});
            sums.part[i] = sums.part[i] + term;
        }
    return Lanes16<T>::total(sums);
}

template <class T>
static void softmax_forward(const Call& call) {
    const int64_t width = call.operand[0].width;
    for (int64_t r = 0; r < call.rows; ++r) {
        const Row<T> y = row_of<T>(call.operand[0], r);
        const Row<const T> x = row_of<const T>(call.operand[1], r);
        const T most = row_maximum<T>(x, width);
        const T sum = row_sum<T>(width, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
            const Vec<T> e = exp_of<T>(load_part(x + c, n) - broadcast(most));
            store_part(y + c, e, n);
            return e;
        });
        for (int64_t c = 0; c < width; c += lanes<T>) {
            const int64_t n = width - c < lanes<T> ? width - c : lanes<T>;
            store_part(y + c, load_part(y + c, n) / broadcast(sum), n);
        }
    }
}

// dx = y (dy - sum(dy y))
template <class T>
static void softmax_backward(const Call& call) {
    const int64_t width = call.operand[0].width;
    for (int64_t r = 0; r < call.rows; ++r) {
        const Row<T> dx = row_of<T>(call.operand[0], r);
        const Row<const T> dy = row_of<const T>(call.operand[1], r), y = row_of<const T>(call.operand[2], r);
        const T sum = row_sum<T>(width, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
            return load_part(dy + c, n) * load_part(y + c, n);
        });
        for (int64_t c = 0; c < width; c += lanes<T>) {
            const int64_t n = width - c < lanes<T> ? width - c : lanes<T>;
            store_part(dx + c, load_part(y + c, n) * (load_part(dy + c, n) - broadcast(sum)), n);
        }
    }
}

// max + log(sum(exp(x - max)))
template <class T>
ONEFOLD_INLINE T log_sum_exp(Row<const T> x, int64_t width) {
    const T most = row_maximum<T>(x, width);
    const T sum = row_sum<T>(width, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
        return exp_of<T>(load_part(x + c, n) - broadcast(most));
    });
    return most + log_of<T>(broadcast(sum))[0];
}

template <class T>
static void log_softmax_forward(const Call& call) {
    const int64_t width = call.operand[0].width;
    for (int64_t r = 0; r < call.rows; ++r) {
        const Row<T> y = row_of<T>(call.operand[0], r);
        const Row<const T> x = row_of<const T>(call.operand[1], r);
        const T total = log_sum_exp<T>(x, width);
        for (int64_t c = 0; c < width; c += lanes<T>) {
            const int64_t n = width - c < lanes<T> ? width - c : lanes<T>;
            store_part(y + c, load_part(x + c, n) - broadcast(total), n);
        }
    }
}

// dx = dy - exp(y) sum(dy)
template <class T>
static void log_softmax_backward(const Call& call) {
    const int64_t width = call.operand[0].width;
    for (int64_t r = 0; r < call.rows; ++r) {
        const Row<T> dx = row_of<T>(call.operand[0], r);
        const Row<const T> dy = row_of<const T>(call.operand[1], r), y = row_of<const T>(call.operand[2], r);
        const T sum = row_sum<T>(
            width, [&](int64_t c, int64_t n) __attribute__((always_inline)) { return load_part(dy + c, n); });
        for (int64_t c = 0; c < width; c += lanes<T>) {
            const int64_t n = width - c < lanes<T> ? width - c : lanes<T>;
            const Vec<T> e = exp_of<T>(load_part(y + c, n));
            store_part(dx + c, fma(-e, broadcast(sum), load_part(dy + c, n)), n);
        }
    }
}

#define ONEFOLD_PAIR(X, name) X(name##_forward) X(name##_backward)
// clang-format off
#define ONEFOLD_ACTIVATION_KERNELS(X) \
    ONEFOLD_PAIR(X, relu) ONEFOLD_PAIR(X, relu6) ONEFOLD_PAIR(X, leaky_relu) ONEFOLD_PAIR(X, elu) \
    ONEFOLD_PAIR(X, celu) ONEFOLD_PAIR(X, selu) ONEFOLD_PAIR(X, gelu) ONEFOLD_PAIR(X, gelu_tanh) \
    ONEFOLD_PAIR(X, silu) ONEFOLD_PAIR(X, hard_silu) ONEFOLD_PAIR(X, mish) ONEFOLD_PAIR(X, sigmoid) \
    ONEFOLD_PAIR(X, hard_sigmoid) ONEFOLD_PAIR(X, log_sigmoid) ONEFOLD_PAIR(X, tanh) \
    ONEFOLD_PAIR(X, hard_tanh) ONEFOLD_PAIR(X, tanh_shrink) ONEFOLD_PAIR(X, softplus) \
    ONEFOLD_PAIR(X, softsign) ONEFOLD_PAIR(X, exponential) ONEFOLD_PAIR(X, threshold) \
    ONEFOLD_PAIR(X, hard_shrink) ONEFOLD_PAIR(X, soft_shrink) ONEFOLD_PAIR(X, prelu) \
    ONEFOLD_PAIR(X, softmax) ONEFOLD_PAIR(X, log_softmax)
// clang-format on

}  // namespace onefold::ONEFOLD_LEVEL
