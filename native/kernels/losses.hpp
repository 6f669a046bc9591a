// Losses: the value and the gradient of every row, computed together.
//
// Operands: 0 loss (rows, 1) float64, 1 dz (rows, outputs) or null, 2 z (rows, outputs), 3 y: targets
// (rows, outputs), or int32 labels (rows, 1) in the kernels that end in _labels, 4 w (rows, 1) or null.
// Writes by `=`: loss[r] = w[r] * l[r] in float64, dz[r, c] = w[r] * dl/dz[r, c]. dz may be z.
// The losses of several outputs are means over outputs (a sum times 1 / outputs), those over classes are
// sums; both are 16 interleaved chains joined by one tree. call.numbers hold the options.
// A z that is not finite gives a loss that is not finite.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

// One row of one loss.
template <class T>
struct LossRow {
    double* loss;
    Row<T> dz;  // null: the loss alone
    Row<const T> z, y;
    int32_t label;
    T weight;
    int64_t outputs;
    const double* p;
};

template <class T, bool Labels, class F>
ONEFOLD_INLINE void for_rows(const Call& call, F f) {
    for (int64_t r = 0; r < call.rows; ++r) {
        LossRow<T> row;
        row.loss = data<double>(call, 0) + r * call.operand[0].stride;
        row.dz = row_of<T>(call.operand[1], r);
        row.z = row_of<const T>(call.operand[2], r);
        if (!Labels) row.y = row_of<const T>(call.operand[3], r);
        row.label = Labels ? data<const int32_t>(call, 3)[r * call.operand[3].stride] : 0;
        row.weight = call.operand[4].data ? data<const T>(call, 4)[r * call.operand[4].stride] : T(1);
        row.outputs = call.operand[2].width;
        row.p = call.numbers;
        f(row);
    }
}

// A loss that is a mean of terms, one for each output: f(z, y, slope) returns the term and sets its
// derivative.
// With a single output, vectors run along the rows; the bits are those of row_sum, which adds the
// only term to zero.
template <class T>
ONEFOLD_INLINE Vec<T> of_rows(const Operand& column, int64_t first, int64_t rows) {
    const T* from = static_cast<const T*>(column.data) + first * column.stride;
    if (column.stride == 1) return load_part(from, rows);
    return load_apart(from, column.stride, rows);
}

template <class T, class F>
ONEFOLD_INLINE void single_output_loss(const Call& call, F f) {
    constexpr int L = lanes<T>;
    const auto& [loss, dz, z, y, w] = reinterpret_cast<const Operand(&)[5]>(call.operand);
    for (int64_t first = 0; first < call.rows; first += L) {
        const int64_t rows = call.rows - first < L ? call.rows - first : L;
        const Vec<T> weight = w.data ? of_rows<T>(w, first, rows) : broadcast(T(1));
        Vec<T> slope;
        const Vec<T> term = Vec<T>{} + f(of_rows<T>(z, first, rows), of_rows<T>(y, first, rows), slope);
        alignas(64) T weights[L], terms[L], slopes[L];
        store(weights, weight);
        store(terms, term);
        store(slopes, slope * weight);
        double* losses = static_cast<double*>(loss.data) + first * loss.stride;
        for (int64_t r = 0; r < rows; ++r) losses[r * loss.stride] = double(weights[r]) * double(terms[r]);
        if (!dz.data) continue;
        T* out = static_cast<T*>(dz.data) + first * dz.stride;
        for (int64_t r = 0; r < rows; ++r) out[r * dz.stride] = slopes[r];
    }
}

template <class T, class F>
ONEFOLD_INLINE void mean_loss(const Call& call, F f) {
    if (call.operand[2].width == 1) return single_output_loss<T>(call, f);
    for_rows<T, false>(call, [&](const LossRow<T>& row) __attribute__((always_inline)) {
        const T share = T(1) / T(row.outputs);
        const T scale = row.weight * share;
        const T sum = row_sum<T>(row.outputs, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
            Vec<T> slope;
            const Vec<T> term = f(load_part(row.z + c, n), load_part(row.y + c, n), slope);
            if (row.dz) store_part(row.dz + c, slope * scale, n);
            return term;
        });
        *row.loss = double(row.weight) * double(sum * share);
    });
}

#define ONEFOLD_MEAN_LOSS(name, ...)                                                                         \
    template <class T>                                                                                       \
    static void name(const Call& call) {                                                                     \
        [[maybe_unused]] const double* p = call.numbers;                                                     \
        mean_loss<T>(call,                                                                                   \
                     [=](Vec<T> z, Vec<T> y, Vec<T>& slope) __attribute__((always_inline)) { __VA_ARGS__ }); \
    }

template <class T>
ONEFOLD_INLINE Vec<T> sign_of(Vec<T> x) {
    const Vec<T> one = broadcast(T(1));
    return select(x > Vec<T>{}, one, select(x < Vec<T>{}, -one, x));
}

// (z - y)^2
ONEFOLD_MEAN_LOSS(squared_error, const Vec<T> e = z - y; slope = e + e; return e * e;)

// |z - y|; the derivative is 0 where they are equal
ONEFOLD_MEAN_LOSS(absolute_error, const Vec<T> e = z - y; slope = sign_of<T>(e); return abs(e);)

// e^2 / 2 up to |e| = p0, then p0 |e| - p0^2 / 2 (Huber 1964)
ONEFOLD_MEAN_LOSS(huber, const Vec<T> e = z - y; const Vec<T> a = abs(e); const T delta = T(p[0]);
                  const IVec<T> near = a <= delta; slope = select(near, e, delta* sign_of<T>(e));
                  return select(near, e * e * T(0.5), delta*(a - T(0.5 * p[0])));)

// log(cosh(e)) = |e| + log1p(exp(-2 |e|)) - log 2; by log1p(sinh^2) / 2 near zero, without cancellation
ONEFOLD_MEAN_LOSS(log_cosh, const Vec<T> e = z - y; const Vec<T> a = abs(e); slope = tanh_of<T>(e);
                  const Vec<T> t = expm1_of<T>(select(a < T(1), a, broadcast(T(1))));
                  const Vec<T> sinh = T(0.5) * (t + t / (t + T(1)));
                  const Vec<T> small = T(0.5) * log1p_of<T>(sinh * sinh);
                  const Vec<T> large = a + (log1p_of<T>(exp_of<T>(a * T(-2))) - T(0.69314718055994531));
                  return select(a < T(1), small, large);)

// p0 e above the prediction, (p0 - 1) e below, e = y - z (Koenker and Bassett 1978)
ONEFOLD_MEAN_LOSS(quantile, const Vec<T> e = y - z; const T high = T(p[0]); const T low = T(p[0] - 1);
                  slope = select(e > Vec<T>{}, broadcast(-high), select(e < Vec<T>{}, broadcast(-low), e));
                  return select(e > Vec<T>{}, e* high, e* low);)

// z is the logarithm of the rate: exp(z) - y z
ONEFOLD_MEAN_LOSS(poisson_log, const Vec<T> rate = exp_of<T>(z); slope = rate - y; return fma(-y, z, rate);)

// z is the rate: z - y log(z + p0)
ONEFOLD_MEAN_LOSS(poisson, const Vec<T> safe = z + T(p[0]); slope = T(1) - y / safe;
                  return fma(-y, log_of<T>(safe), z);)

// z is the logarithm of the mean: z + y exp(-z)
ONEFOLD_MEAN_LOSS(gamma_log, const Vec<T> ratio = y * exp_of<T>(-z); slope = T(1) - ratio; return z + ratio;)

// z is the mean: log(z + p0) + y / (z + p0)
ONEFOLD_MEAN_LOSS(gamma, const Vec<T> safe = z + T(p[0]); const Vec<T> ratio = y / safe;
                  slope = (T(1) - ratio) / safe; return log_of<T>(safe) + ratio;)

// softplus(z) - t z with t = y (1 - p0) + p0 / 2
ONEFOLD_MEAN_LOSS(sigmoid_cross_entropy,
                  const Vec<T> t = fma(y, broadcast(T(1 - p[0])), broadcast(T(p[0] / 2)));
                  const Vec<T> e = exp_of<T>(-abs(z)); slope = sigmoid_from<T>(z, e) - t;
                  return softplus_from<T>(z, e) - t * z;)

// max(1 - y z, 0) for y in {-1, 1}
ONEFOLD_MEAN_LOSS(hinge, const Vec<T> m = T(1) - y * z; const IVec<T> inside = m <= Vec<T>{};
                  slope = select(inside, Vec<T>{}, -y); return select(inside, Vec<T>{}, m);)

// max(1 - y z, 0)^2
ONEFOLD_MEAN_LOSS(squared_hinge, const Vec<T> m = T(1) - y * z; const IVec<T> inside = m <= Vec<T>{};
                  const Vec<T> kept = select(inside, Vec<T>{}, m); slope = -y * (kept + kept);
                  return kept * kept;)

// The gradient of a softmax loss, scaled: (softmax(z) * mass - target) * weight, for target(c, n),
// less `own` where the column is the row's label.
template <class T, bool Labels = false, class F>
ONEFOLD_INLINE void softmax_slope(const LossRow<T>& row, T total, T mass, F target, T own = T(0)) {
    if (!row.dz) return;
    for (int64_t c = 0; c < row.outputs; c += lanes<T>) {
        const int64_t n = row.outputs - c < lanes<T> ? row.outputs - c : lanes<T>;
        const Vec<T> probability = exp_of<T>(load_part(row.z + c, n) - broadcast(total));
        Vec<T> slope = fma(probability, broadcast(mass), -target(c, n)) * row.weight;
        if constexpr (Labels) slope = select(is_lane<T>(row.label - c), slope - own, slope);
        store_part(row.dz + c, slope, n);
    }
}

// -sum t log softmax(z) = sum(t) logsumexp(z) - sum(t z), t = y (1 - p0) + p0 / classes
template <class T>
static void softmax_cross_entropy(const Call& call) {
    for_rows<T, false>(call, [&](const LossRow<T>& row) __attribute__((always_inline)) {
        const T keep = T(1 - row.p[0]), floor = T(row.p[0] / double(row.outputs));
        const auto target = [&](int64_t c, int64_t n) __attribute__((always_inline)) {
            return fma(load_part(row.y + c, n), broadcast(keep), broadcast(floor));
        };
        const T total = log_sum_exp<T>(row.z, row.outputs);
        const T mass = row_sum<T>(row.outputs, target);
        const T loss = row_sum<T>(row.outputs, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
            return target(c, n) * (broadcast(total) - load_part(row.z + c, n));
        });
        *row.loss = double(row.weight) * double(loss);
        softmax_slope<T>(row, total, mass, target);
    });
}

// The sum of `count` vectors as row_sum adds a row's elements: 16 chains joined by one tree. They are used
// up.
template <class T>
ONEFOLD_INLINE Vec<T> sum_of_columns(Vec<T>* column, int64_t count) {
    for (int64_t c = kReductionLanes; c < count; ++c)
        column[c % kReductionLanes] = column[c % kReductionLanes] + column[c];
    for (int64_t half = kReductionLanes / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half && i + half < count; ++i) column[i] = column[i] + column[i + half];
    return column[0];
}

// Vectors of a row's classes that few_classes takes: they lie in one panel.
template <class T>
inline constexpr int kClassVectors = kPanel / lanes<T> < 4 ? kPanel / lanes<T> : 4;

// softmax_cross_entropy_labels for so few classes that V vectors hold them, `lanes` rows at a time: a vector
// holds one class of every row. The sums go by the same chains and tree, so the bits are those of the
// row-wise form. 20-64-64-2 at 32 rows: 1.62 -> 0.21 us of an update of 9; 100-256-256-10 at 256 rows: 18.5
// -> 3.3 us of 630. More than one vector, ns a row on a Granite Rapids core: 10 classes with AVX2 53 -> 16,
// 26 classes with AVX-512 53 -> 19.
template <class T, int V>
[[gnu::noinline]] static void few_classes(const Call& call) {
    constexpr int L = lanes<T>;
    const auto& [loss, dz, z, y, w] = reinterpret_cast<const Operand(&)[5]>(call.operand);
    const int64_t classes = z.width, last = classes - (V - 1) * L;
    const T keep = T(1 - call.numbers[0]), floor = T(call.numbers[0] / double(classes));
    for (int64_t first = 0; first < call.rows; first += L) {
        const int64_t rows = call.rows - first < L ? call.rows - first : L;
        alignas(64) T weights[L], chosen[L], losses[L];
        alignas(64) typename VectorOf<T>::integer labels[L];
        Vec<T> column[V * L], term[V * L];  // at first row r of vectors v in column[v * L + r]
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) {
            const int64_t row = first + (r < rows ? r : 0);
            const T* from = static_cast<const T*>(z.data) + row * z.stride;
            labels[r] = static_cast<const int32_t*>(y.data)[row * y.stride];
            weights[r] = w.data ? static_cast<const T*>(w.data)[row * w.stride] : T(1);
            chosen[r] = from[labels[r]];
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) column[v * L + r] = load_part(from + v * L, v < V - 1 ? L : last);
        }
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) turn<T>(column + v * L);
        IVec<T> label;
        memcpy(&label, labels, sizeof label);
        const Vec<T> weight = load(weights);
        Vec<T> most = column[0];
        for (int64_t c = 1; c < classes; ++c) most = maximum_or_nan<T>(most, column[c]);
        for (int64_t c = 0; c < classes; ++c) term[c] = exp_of<T>(column[c] - most);
        const Vec<T> total = most + log_of<T>(sum_of_columns<T>(term, classes));
        Vec<T> value = keep * (total - load(chosen));
        if (floor != T(0)) {
            for (int64_t c = 0; c < classes; ++c) term[c] = Vec<T>{} + (total - column[c]);
            value = fma(broadcast(floor), sum_of_columns<T>(term, classes), value);
        }
        store(losses, value);
        for (int64_t r = 0; r < rows; ++r)
            static_cast<double*>(loss.data)[(first + r) * loss.stride] =
                double(weights[r]) * double(losses[r]);
        if (!dz.data) continue;
        for (int64_t c = 0; c < classes; ++c) {
            const Vec<T> slope = (exp_of<T>(column[c] - total) - broadcast(floor)) * weight;
            column[c] = select(label == typename VectorOf<T>::integer(c), slope - keep * weight, slope);
        }
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) turn<T>(column + v * L);
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) {
            if (r >= rows) break;
            T* to = static_cast<T*>(dz.data) + (first + r) * dz.stride;
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) store_part(to + v * L, column[v * L + r], v < V - 1 ? L : last);
        }
    }
}

template <class T, int V = 1>
ONEFOLD_INLINE void few_classes_in(int64_t vectors, const Call& call) {
    if (vectors == V) return few_classes<T, V>(call);
    if constexpr (V < kClassVectors<T>) few_classes_in<T, V + 1>(vectors, call);
}

// The same with t = 1 for the label's class and 0 for the others, before smoothing.
template <class T>
static void softmax_cross_entropy_labels(const Call& call) {
    const int64_t classes = call.operand[2].width;
    if (classes > 1 && classes <= kClassVectors<T> * lanes<T> && call.rows >= kNarrowRows)
        return few_classes_in<T>((classes + lanes<T> - 1) / lanes<T>, call);
    for_rows<T, true>(call, [&](const LossRow<T>& row) __attribute__((always_inline)) {
        const T keep = T(1 - row.p[0]), floor = T(row.p[0] / double(row.outputs));
        const T total = log_sum_exp<T>(row.z, row.outputs);
        T loss = keep * (total - row.z[row.label]);
        if (floor != T(0)) {
            const T spread =
                row_sum<T>(row.outputs, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
                    return broadcast(total) - load_part(row.z + c, n);
                });
            loss = fma(floor, spread, loss);
        }
        *row.loss = double(row.weight) * double(loss);
        const auto target = [&](int64_t, int64_t) __attribute__((always_inline)) { return broadcast(floor); };
        softmax_slope<T, true>(row, total, T(1), target, keep * row.weight);
    });
}

// y log y, 0 for y = 0
template <class T>
ONEFOLD_INLINE Vec<T> y_log_y(Vec<T> y) {
    return select(y > Vec<T>{}, y * log_of<T>(y), Vec<T>{});
}

// sum y (log y - log softmax(z))
template <class T>
static void softmax_kl_divergence(const Call& call) {
    for_rows<T, false>(call, [&](const LossRow<T>& row) __attribute__((always_inline)) {
        const auto target = [&](int64_t c, int64_t n)
                                __attribute__((always_inline)) { return load_part(row.y + c, n); };
        const T total = log_sum_exp<T>(row.z, row.outputs);
        const T mass = row_sum<T>(row.outputs, target);
        const T loss = row_sum<T>(row.outputs, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
            const Vec<T> y = target(c, n);
            return y_log_y<T>(y) + y * (broadcast(total) - load_part(row.z + c, n));
        });
        *row.loss = double(row.weight) * double(loss);
        softmax_slope<T>(row, total, mass, target);
    });
}

// z are probabilities: sum y log(y / max(z, p0))
template <class T>
static void kl_divergence(const Call& call) {
    for_rows<T, false>(call, [&](const LossRow<T>& row) __attribute__((always_inline)) {
        const T least = T(row.p[0]);
        const T loss = row_sum<T>(row.outputs, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
            const Vec<T> y = load_part(row.y + c, n), z = load_part(row.z + c, n);
            const IVec<T> low = z < least;
            const Vec<T> safe = select(low, broadcast(least), z);
            if (row.dz) store_part(row.dz + c, select(low, Vec<T>{}, -y / safe) * row.weight, n);
            return y_log_y<T>(y) - y * log_of<T>(safe);
        });
        *row.loss = double(row.weight) * double(loss);
    });
}

// 1 - y.z / (|y| |z|); 1 where either is zero, with no gradient
template <class T>
static void cosine_similarity(const Call& call) {
    for_rows<T, false>(call, [&](const LossRow<T>& row) __attribute__((always_inline)) {
        const auto product = [&](Row<const T> a, Row<const T> b) __attribute__((always_inline)) {
            return row_sum<T>(row.outputs, [&](int64_t c, int64_t n) __attribute__((always_inline)) {
                return load_part(a + c, n) * load_part(b + c, n);
            });
        };
        const T yz = product(row.y, row.z), yy = product(row.y, row.y), zz = product(row.z, row.z);
        const T norms = sqrt(yy) * sqrt(zz);
        const bool none = norms == T(0);
        const T cosine = none ? T(0) : yz / norms;
        *row.loss = double(row.weight) * double(T(1) - cosine);
        if (!row.dz) return;
        // d/dz = -(y / norms - cosine z / |z|^2)
        const T a = none ? T(0) : -row.weight / norms, b = none ? T(0) : row.weight * (cosine / zz);
        for (int64_t c = 0; c < row.outputs; c += lanes<T>) {
            const int64_t n = row.outputs - c < lanes<T> ? row.outputs - c : lanes<T>;
            const Vec<T> along = load_part(row.z + c, n) * b;
            store_part(row.dz + c, fma(load_part(row.y + c, n), broadcast(a), along), n);
        }
    });
}

// clang-format off
#define ONEFOLD_LOSS_KERNELS(X) \
    X(squared_error) X(absolute_error) X(huber) X(log_cosh) X(quantile) X(poisson_log) X(poisson) \
    X(gamma_log) X(gamma) X(sigmoid_cross_entropy) X(hinge) X(squared_hinge) X(softmax_cross_entropy) \
    X(softmax_cross_entropy_labels) X(softmax_kl_divergence) X(kl_divergence) X(cosine_similarity)
// clang-format on

}  // namespace onefold::ONEFOLD_LEVEL
