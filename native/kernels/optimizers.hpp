// Optimizers: one update of a block of a parameter from its summed gradient.
//
// Operands: 0 updated parameter (may be the parameter), 1 parameter, 2 gradient (the sum G, not yet divided),
// 3.. states, which are updated in place; elements [begin, end) of contiguous storage, a multiple of 32.
// Where kRowSlopes is given, G is made of a row's x, which begins where the block does, and of its panel of
// dz. call.rows says how many columns of each panel row are in use (0: all); the others may be left alone.
// Numbers: 0 reciprocal of the weights' sum, 1 factor of the clipped norm, 2 clip value (infinity: none),
// 3 learning rate, 4 weight decay, 5.. the optimizer's own, worked out in float64 for this update.
// The gradient is g = clamp((G * n0) * n1, -n2, n2), and weight decay, where it is not decoupled, adds
// n4 * p to it. Zeros stay zeros: padding is updated with the rest.
// Cost: 12 to 30 operations an element; 4 bytes times (2 + states) read and (1 + states) written.
//
// On a Zen 3 core (AVX2) a step of Adam takes 3.2 to 3.4 ns for 8 elements, for 2.8 of which the divider is
// busy, and every product or multiply-add more takes 0.3: a single row's gradient, made here instead of being
// stored and loaded, is not multiplied by 1. Updates of one row there are so many times as fast with that,
// with whole panel rows unrolled and settled() in two instructions instead of three: 20-64-64-2 1.07 to 1.09,
// 300-300 1.11 to 1.12; without the product left out 1.02. Addresses of x worked out for every vector instead
// of every row: 0.77 to 0.88.
//
// Lost, updates of 784-512-512-10 at 128 rows on two Granite Rapids cores: asking for the parameter and the
// states 64 to 1,024 elements ahead (0.93 to 0.98 times as fast, the further the slower).
#pragma once

namespace onefold::ONEFOLD_LEVEL {

// The numbers of an update, converted once: a compiler cannot know that the parameters stored in a
// loop are not call.numbers, and would convert them anew for every vector.
template <class T, int Own>
struct UpdateScalars {
    T reciprocal, factor, clip, rate, decay;
    T own[Own + 1], rest[Own + 1];  // and 1 - own, rounded once
    explicit UpdateScalars(const Call& call)
        : reciprocal(T(call.numbers[0])),
          factor(T(call.numbers[1])),
          clip(T(call.numbers[2])),
          rate(T(call.numbers[3])),
          decay(T(call.numbers[4])) {
        for (int i = 0; i < Own; ++i) {
            own[i] = T(call.numbers[5 + i]);
            rest[i] = T(1 - call.numbers[5 + i]);
        }
    }
};

// What stands between a sum and its gradient. Without clipping the factor is 1 and the limits are infinite:
// what is left out changes no bit, nor does a product with 1.
enum class Mean { sum, divided, clipped };

template <class T, Mean M, class Scalars>
ONEFOLD_INLINE Vec<T> mean_gradient(Vec<T> sum, const Scalars& s) {
    if constexpr (M == Mean::sum) return sum;
    const Vec<T> g = sum * s.reciprocal;
    if constexpr (M == Mean::divided) return g;
    return larger(broadcast(-s.clip), smaller(broadcast(s.clip), g * s.factor));
}

// States that have faded below the smallest normal number are zero: denormal ones would make an update
// of a network with silent neurons two and a half times as slow (Zen 4), for steps of 1e-38.
template <class T>
ONEFOLD_INLINE Vec<T> settled(Vec<T> x) {
    using Integer = typename VectorOf<T>::integer;
    constexpr Integer exponent = Integer(~(Format<T>::mantissa_bits | std::numeric_limits<Integer>::min()));
    return where_bits(x, exponent);
}

template <class T>
ONEFOLD_INLINE int64_t used_columns(const Call& call) {
    return call.rows > 0 ? call.rows : kPanel;
}

// The gradient's sums as they stand.
template <class T>
struct StoredSums {
    const T* sums;
    explicit StoredSums(const Call& call) : sums(data<const T>(call, 2)) {}
    template <bool Heads>
    [[gnu::always_inline]] void begin_row(int64_t) {}
    template <bool Heads>
    [[gnu::always_inline]] Vec<T> at(int64_t row, int64_t column) const {
        return Heads ? load_heads(sums + (row + column), kPanel) : load(sums + (row + column));
    }
};

// What weight_gradient would make of a single row: products, zero in columns that are not used.
template <class T>
struct SumsOfOneRow {
    alignas(64) T slopes[kPanel], used[kPanel];
    const T* const x;
    const int64_t begin, panel;
    Vec<T> left = broadcast(T(1));
    explicit SumsOfOneRow(const Call& call)
        : x(data<const T>(call, kRowInputs)), begin(call.begin), panel(call.operand[kRowInputs].panel) {
        for (int64_t c = 0; c < kPanel; c += lanes<T>) {
            const int64_t rest = used_columns<T>(call) - c, n = rest < lanes<T> ? rest : lanes<T>;
            store(slopes + c, n > 0 ? load_part(data<const T>(call, kRowSlopes) + c, n) : Vec<T>{});
            store(used + c, (Vec<T>)first_lanes<T>(n));
        }
    }
    template <bool Heads>
    [[gnu::always_inline]] void begin_row(int64_t row) {
        if (x == nullptr) return;
        const uint64_t k = uint64_t(row - begin) / kPanel;
        const T* from = x + (int64_t(k / kPanel) * panel + int64_t(k % kPanel));
        left = Heads ? spread_heads(from) : broadcast_bits(*from);
    }
    template <bool Heads>
    [[gnu::always_inline]] Vec<T> at(int64_t, int64_t column) const {
        const auto in = [=](const T* from) __attribute__((always_inline)) {
            return Heads ? load_heads(from, 0) : load(from);
        };
        const Vec<T> product = fma(left, in(slopes + column), Vec<T>{});
        return (Vec<T>)((IVec<T>)product & (IVec<T>)in(used + column));
    }
};

// Calls f(parameter, gradient, states...) on references to vectors, for every vector of the block. f says
// true where it knows the first two states to be settled.
template <class T, int States, class Sums, Mean M, class Scalars, class F>
ONEFOLD_INLINE void for_vectors(const Call& call, const Scalars& scalars, F f) {
    T* const updated = data<T>(call, 0);
    const T* const parameter = data<const T>(call, 1);
    Sums sums(call);
    T* state[4] = {};
    for (int s = 0; s < States; ++s) state[s] = data<T>(call, 3 + s);
    const int64_t end = call.end, used = used_columns<T>(call);
    const auto step = [&]<bool Heads>(int64_t row, int64_t column) __attribute__((always_inline)) {
        const int64_t i = row + column;
        const auto in = [=](const T* from) __attribute__((always_inline)) {
            return Heads ? load_heads(from + i, kPanel) : load(from + i);
        };
        const auto out = [=](T* to, Vec<T> value) __attribute__((always_inline)) {
            Heads ? store_heads(to + i, kPanel, value) : store(to + i, value);
        };
        Vec<T> p = in(parameter);
        const Vec<T> g = mean_gradient<T, M>(sums.template at<Heads>(row, column), scalars);
        Vec<T> m = States > 0 ? in(state[0]) : Vec<T>{};
        Vec<T> v = States > 1 ? in(state[1]) : Vec<T>{};
        Vec<T> u = States > 2 ? in(state[2]) : Vec<T>{};
        const bool known = f(scalars, p, g, m, v, u);
        out(updated, p);
        if (States > 0) out(state[0], known ? m : settled<T>(m));
        if (States > 1) out(state[1], known ? v : settled<T>(v));
        if (States > 2) out(state[2], settled<T>(u));
    };
    int64_t row = call.begin;
    if (kHeads > 1 && used * int64_t(sizeof(T)) <= 16)  // several rows in a vector
        for (; row + (kHeads - 1) * kPanel < end; row += kHeads * kPanel) {
            sums.template begin_row<true>(row);
            step.template operator()<true>(row, 0);
        }
    for (; row < end; row += kPanel) {
        sums.template begin_row<false>(row);
        if (used == kPanel)
#pragma GCC unroll 4
            for (int c = 0; c < kPanel; c += lanes<T>) step.template operator()<false>(row, c);
        else
            for (int64_t c = 0; c < used; c += lanes<T>) step.template operator()<false>(row, c);
    }
}

template <class T, int States, int Own, class F>
ONEFOLD_INLINE void for_elements(const Call& call, F f) {
    const UpdateScalars<T, Own> scalars(call);
    const bool clipped = scalars.factor != T(1) || scalars.clip <= std::numeric_limits<T>::max();
    if (call.operand[kRowSlopes].data == nullptr)
        clipped ? for_vectors<T, States, StoredSums<T>, Mean::clipped>(call, scalars, f)
                : for_vectors<T, States, StoredSums<T>, Mean::divided>(call, scalars, f);
    else
        clipped || scalars.reciprocal != T(1)
            ? for_vectors<T, States, SumsOfOneRow<T>, Mean::clipped>(call, scalars, f)
            : for_vectors<T, States, SumsOfOneRow<T>, Mean::sum>(call, scalars, f);
}

// A step with so many states and numbers of its own.
#define ONEFOLD_OPTIMIZER(name, states, own_numbers, ...)                                             \
    template <class T>                                                                                \
    static void name(const Call& call) {                                                              \
        for_elements<T, states, own_numbers>(                                                         \
            call, [](const auto& s, [[maybe_unused]] Vec<T>& p, Vec<T> g, [[maybe_unused]] Vec<T>& m, \
                     [[maybe_unused]] Vec<T>& v, [[maybe_unused]] Vec<T>& u)                          \
                      __attribute__((always_inline)) { __VA_ARGS__ return false; });                  \
    }

// g + decay p
template <class T, class Scalars>
ONEFOLD_INLINE Vec<T> decayed(const Scalars& s, Vec<T> p, Vec<T> g) {
    return fma(broadcast(s.decay), p, g);
}
// p - rate decay p: the decay of Loshchilov and Hutter 2019, apart from the gradient
template <class T, class Scalars>
ONEFOLD_INLINE Vec<T> shrunk(const Scalars& s, Vec<T> p) {
    return fma(broadcast(-s.rate * s.decay), p, p);
}
// b a + (1 - b) x, b being the optimizer's number `place`
template <class T, class Scalars>
ONEFOLD_INLINE Vec<T> average(const Scalars& s, Vec<T> a, Vec<T> x, int place) {
    return fma(a, broadcast(s.own[place]), x * s.rest[place]);
}

// p -= rate g
ONEFOLD_OPTIMIZER(sgd_update, 0, 0, p = fma(broadcast(-s.rate), decayed<T>(s, p, g), p);)

// own: momentum. m = momentum m + g; p -= rate m
ONEFOLD_OPTIMIZER(sgd_momentum_update, 1, 1, m = fma(m, broadcast(s.own[0]), decayed<T>(s, p, g));
                  p = fma(broadcast(-s.rate), m, p);)

// own: momentum. m as above; p -= rate (g + momentum m)
ONEFOLD_OPTIMIZER(sgd_nesterov_update, 1, 1, g = decayed<T>(s, p, g); m = fma(m, broadcast(s.own[0]), g);
                  p = fma(broadcast(-s.rate), fma(m, broadcast(s.own[0]), g), p);)

// own: beta1, beta2, epsilon, rate / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
// p -= own3 m / (own4 sqrt(v) + epsilon). True where m and v are known to be settled.
template <class T, class Scalars>
ONEFOLD_INLINE bool adam_step(const Scalars& s, Vec<T>& p, Vec<T> m, Vec<T> v) {
    Vec<T> root;
    const bool known = root_of_settled(m, v, root);
    if (!known) root = sqrt(v);
    const Vec<T> divisor = fma(root, broadcast(s.own[4]), broadcast(s.own[2]));
    p = fma(broadcast(-s.own[3]), m / divisor, p);
    return known;
}
ONEFOLD_OPTIMIZER(adam_update, 2, 5, g = decayed<T>(s, p, g); m = average<T>(s, m, g, 0);
                  v = average<T>(s, v, g* g, 1); return adam_step<T>(s, p, m, v);)
ONEFOLD_OPTIMIZER(adam_amsgrad_update, 3, 5, g = decayed<T>(s, p, g); m = average<T>(s, m, g, 0);
                  v = average<T>(s, v, g* g, 1); u = select(v > u, v, u); adam_step<T>(s, p, m, u);)
ONEFOLD_OPTIMIZER(adamw_update, 2, 5, p = shrunk<T>(s, p); m = average<T>(s, m, g, 0);
                  v = average<T>(s, v, g* g, 1); return adam_step<T>(s, p, m, v);)
ONEFOLD_OPTIMIZER(adamw_amsgrad_update, 3, 5, p = shrunk<T>(s, p); m = average<T>(s, m, g, 0);
                  v = average<T>(s, v, g* g, 1); u = select(v > u, v, u); adam_step<T>(s, p, m, u);)

// own: beta1, beta2, epsilon, rate / (1 - beta1^t). v = max(beta2 v, |g| + epsilon), except that a v of
// zero under a gradient of zero stays zero, as does the step
ONEFOLD_OPTIMIZER(adamax_update, 2, 4, g = decayed<T>(s, p, g); m = average<T>(s, m, g, 0);
                  const Vec<T> a = abs(g) + s.own[2]; const Vec<T> kept = v * s.own[1];
                  v = select(a > kept, a, kept); p = fma(broadcast(-s.own[3]), m / v, p);)

// own: beta1, beta2, epsilon, rate mu_{t+1} / (1 - prod mu_{t+1}), rate (1 - mu_t) / (1 - prod mu_t),
// 1 / sqrt(1 - beta2^t)
ONEFOLD_OPTIMIZER(nadam_update, 2, 6, g = decayed<T>(s, p, g); m = average<T>(s, m, g, 0);
                  v = average<T>(s, v, g* g, 1);
                  const Vec<T> root = fma(sqrt(v), broadcast(s.own[5]), broadcast(s.own[2]));
                  p = fma(broadcast(-s.own[4]), g / root, p); p = fma(broadcast(-s.own[3]), m / root, p);)

// own: rho, epsilon, momentum. v average of squares; m = momentum m + g / (sqrt(v) + epsilon)
ONEFOLD_OPTIMIZER(rmsprop_update, 1, 3, g = decayed<T>(s, p, g); m = average<T>(s, m, g* g, 0);
                  p = fma(broadcast(-s.rate), g / (sqrt(m) + s.own[1]), p);)
ONEFOLD_OPTIMIZER(rmsprop_momentum_update, 2, 3, g = decayed<T>(s, p, g); v = average<T>(s, v, g* g, 0);
                  m = fma(m, broadcast(s.own[2]), g / (sqrt(v) + s.own[1]));
                  p = fma(broadcast(-s.rate), m, p);)

// own: epsilon, initial sum. m is the sum of squares without the initial value
ONEFOLD_OPTIMIZER(adagrad_update, 1, 2, g = decayed<T>(s, p, g); m = fma(g, g, m);
                  p = fma(broadcast(-s.rate), g / (sqrt(m + s.own[1]) + s.own[0]), p);)

// own: rho, epsilon. m average of squared gradients, v of squared steps
ONEFOLD_OPTIMIZER(adadelta_update, 2, 2, g = decayed<T>(s, p, g); m = average<T>(s, m, g* g, 0);
                  const Vec<T> step = sqrt(v + s.own[1]) / sqrt(m + s.own[1]) * g;
                  v = average<T>(s, v, step* step, 0); p = fma(broadcast(-s.rate), step, p);)

// own: beta1, beta2. p -= rate sign(average of m and g by beta1); m by beta2
ONEFOLD_OPTIMIZER(lion_update, 1, 2, p = shrunk<T>(s, p); const Vec<T> c = average<T>(s, m, g, 0);
                  p = fma(broadcast(-s.rate), sign_of<T>(c), p); m = average<T>(s, m, g, 1);)

// Operands: out float64 (1), gradient. Numbers: reciprocal. The sum of squares of the divided gradient in
// elements [begin, end): 16 interleaved chains in float64, joined by one tree. Writes by `=`.
template <class T>
static void squared_norm(const Call& call) {
    const T reciprocal = T(call.numbers[0]);
    double lane[kReductionLanes] = {};
    for (int64_t i = call.begin; i < call.end; i += kReductionLanes)
        for (int l = 0; l < kReductionLanes; ++l) {
            const double g = double(data<const T>(call, 1)[i + l] * reciprocal);
            lane[l] = __builtin_fma(g, g, lane[l]);
        }
    for (int half = kReductionLanes / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
    *data<double>(call, 0) = lane[0];
}

// Tries a step of Adam with both kinds of square roots, some microseconds. Cycles for 16 elements with the
// instruction and with products: on a Zen 4 core 17 and 27, on an Emerald Rapids core 32 and 23; with
// products on a Granite Rapids core 22, and 20 since settled() and zeros take an instruction less each. There
// a step that asks once whether a root can be made of products and both states are settled takes 4.7 ns
// instead of 5.3.
#if ONEFOLD_VECTOR_BYTES == 64
static void choose_roots() {
    alignas(64) float arrays[4][512] = {};
    for (auto& array : arrays)
        for (float& value : array) value = 1;
    const double numbers[] = {1, 1, std::numeric_limits<double>::infinity(), 0, 0, 0.9, 0.999, 1e-8, 0, 1};
    Call call;
    call.operand[0].data = arrays[0];
    for (int i = 0; i < 4; ++i) call.operand[i + 1].data = arrays[i];
    call.numbers = numbers;
    call.end = 512;
    uint64_t least[2] = {~uint64_t(0), ~uint64_t(0)};
    for (int i = 0; i < 16; ++i) {
        roots_from_products = i % 2 == 1;
        const uint64_t start = clock_ticks();
        adam_update<float>(call);
        const uint64_t spent = clock_ticks() - start;
        if (spent < least[i % 2]) least[i % 2] = spent;
    }
    roots_from_products = least[1] < least[0];
}
#else
static void choose_roots() {}
#endif

// clang-format off
#define ONEFOLD_OPTIMIZER_KERNELS(X) \
    X(sgd_update) X(sgd_momentum_update) X(sgd_nesterov_update) X(adam_update) \
    X(adam_amsgrad_update) X(adamw_update) X(adamw_amsgrad_update) X(adamax_update) X(nadam_update) \
    X(rmsprop_update) X(rmsprop_momentum_update) X(adagrad_update) X(adadelta_update) X(lion_update) \
    X(squared_norm)
// clang-format on

}  // namespace onefold::ONEFOLD_LEVEL
