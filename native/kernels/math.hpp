// Elementary functions of vectors, made of add, multiply, fma, divide, sqrt and integer operations in
// one stated order: the same bits on every instruction set, for float and double alike.
//
//   function   range                 error, ulp (float / double)   method
//   exp        all, denormals kept   1 / 1         2^k * (1 + r + r^2 P(r)), |r| <= ln 2 / 2
//   expm1      all                   2 / 2         the same, without the 1
//   log        all                   1 / 1         k ln 2 + 2 s + s^3 P(s^2), s = f / (2 + f)
//   log1p      all                   2 / 2         log of the rounded 1 + x, with what it lost
//   tanh       all, odd              2 / 2         x + x^3 P(x^2) below 0.625, else 1 - 2 / (exp(2x) + 1)
//   sigmoid    all                   2 / 3         1 / (1 + e) or e / (1 + e), e = exp(-|x|)
//   softplus   all                   2 / 2         max(x, 0) + log1p(exp(-|x|))
//   erf        all, odd              2 / 2         x P(x^2) below 1, else 1 - erfc
//   erfc       all                   4 / 4         exp(-x^2) t P(t - 7/16), t = 1 / (1 + x/2)
//   sinpi      |x| < 2^21 / 2^50     2 / 2         sin(pi x), the argument reduced exactly
//   cospi      likewise              2 / 2
//   pow        x > 0                 exp(y log x): |y log x| times the unit roundoff
// The figures are what tests/kernels/test_math.py asserts. Infinities and zeros come out as in
// IEEE 754's recommendations; NaN in gives NaN out.
//
// Rounding to an integer is done by adding and subtracting 1.5 * 2^23 (or 2^52), whose low bits are
// then the integer: one addition on every instruction set.
// The polynomials are printed by tools/fit_polynomials.py.
#pragma once

namespace onefold::ONEFOLD_LEVEL {

template <class T>
inline constexpr T kExp[] = {T(0)};
template <class T>
inline constexpr T kLog[] = {T(0)};
template <class T>
inline constexpr T kTanh[] = {T(0)};
template <class T>
inline constexpr T kErf[] = {T(0)};
template <class T>
inline constexpr T kErfc[] = {T(0)};
template <class T>
inline constexpr T kSinPi[] = {T(0)};
template <class T>
inline constexpr T kCosPi[] = {T(0)};
// clang-format off
// fitted on [-0.3469, 0.3469], error 6.5e-8
template <> inline constexpr float kExp<float>[] = {0.00139262508f, 0.00836323288f, 0.0416665542f, 0.166665767f, 0.500000000f};
// fitted on [-0.3469, 0.3469], error 1.1e-16
template <> inline constexpr double kExp<double>[] = {2.5100472505694996e-8, 2.7620201591031549e-7, 2.7557268276905696e-6, 2.4801521057868205e-5, 0.00019841269863171556, 0.0013888888917367081, 0.0083333333333300382, 0.041666666666623821, 0.16666666666666667, 0.50000000000000010};
// fitted on [0, 0.0296], error 1.2e-9
template <> inline constexpr float kLog<float>[] = {0.233368110f, 0.285505870f, 0.400001239f, 0.666666666f};
// fitted on [0, 0.0296], error 2.2e-18
template <> inline constexpr double kLog<double>[] = {0.13094416666525344, 0.13268026140428739, 0.15386267672882225, 0.18181795124476754, 0.22222222396552981, 0.28571428570782208, 0.40000000000000912, 0.66666666666666666};
// fitted on [0, 0.395], error 1.7e-9
template <> inline constexpr float kTanh<float>[] = {0.00228186135f, -0.00833428700f, 0.0217659525f, -0.0539588930f, 0.133333020f, -0.333333332f};
// fitted on [0, 0.395], error 1.7e-19
template <> inline constexpr double kTanh<double>[] = {-2.4138177193336484e-6, 1.2153333490934819e-5, -3.7025158239385366e-5, 9.6009417667850261e-5, -0.00023887809107064676, 0.00058997913316231146, -0.0014558279781199900, 0.0035921274640842470, -0.0088632354969645130, 0.021869488535024441, -0.053968253968233755, 0.13333333333333319, -0.33333333333333333};
// fitted on [0, 1.001], error 1.4e-10
template <> inline constexpr float kErf<float>[] = {-1.02129467e-5f, 0.000114506886f, -0.000850843774f, 0.00522260609f, -0.0268659443f, 0.112837903f, -0.376126389f};
// fitted on [0, 1.001], error 1.4e-22
template <> inline constexpr double kErf<double>[] = {2.8947575732365994e-13, -6.2573683405560828e-12, 9.3423302577619657e-11, -1.2281089538776096e-9, 1.4806421745638671e-8, -1.6365800422580209e-7, 1.6462112570702991e-6, -1.4925650307585880e-5, 0.00012055332980811954, -0.00085483270234386561, 0.0052239776254420966, -0.026866170645131248, 0.11283791670955126, -0.37612638903183752};
// fitted on [-0.3725, 0.3635], error 1.3e-11
template <> inline constexpr float kErfc<float>[] = {-0.0629867424f, 0.0261404284f, 0.0771212087f, -0.0603557727f, -0.0655441868f, 0.0925385998f, 0.0665874785f, -0.135235347f, -0.134440762f, 0.184290948f, 0.527853778f, 0.619160493f, 0.469989076f};
// fitted on [-0.3725, 0.3635], error 4.1e-20
template <> inline constexpr double kErfc<double>[] = {-0.31115535011046576, 0.057085290486486495, 0.40847093955946969, -0.19918409188908604, -0.20114286103116594, 0.23491644729694873, -0.030956364750081238, -0.13265401444485981, 0.12681936184388725, 0.0039927385072291280, -0.10570868092797278, 0.073084018060108677, 0.041375592814749232, -0.093002635103722279, 0.017788969743502261, 0.082004111916103242, -0.059438439167527212, -0.065929594388331832, 0.092483471880509384, 0.066602275501352793, -0.13523362865986744, -0.13444100266121408, 0.18429092394591012, 0.52785377900105114, 0.61916049271138704, 0.46998907617851963};
// fitted on [0, 0.0626], error 8.8e-10
template <> inline constexpr float kSinPi<float>[] = {0.0812281164f, -0.599228682f, 2.55016359f, -5.16771278f};
// fitted on [0, 0.0626], error 1.6e-22
template <> inline constexpr double kSinPi<double>[] = {7.8947914437489678e-7, -2.1914771611939553e-5, 0.00046630277496533437, -0.0073704309448107815, 0.082145886611113834, -0.59926452932079196, 2.5501640398773454, -5.1677127800499700};
// fitted on [0, 0.0626], error 3.1e-9
template <> inline constexpr float kCosPi<float>[] = {0.232120319f, -1.33513742f, 4.05871056f, -4.93480220f};
// fitted on [0, 0.0626], error 9.9e-22
template <> inline constexpr double kCosPi<double>[] = {4.2684505577715561e-6, -0.00010463458776443173, 0.0019295741232170459, -0.025806891384552543, 0.23533063035880620, -1.3352627688545888, 4.0587121264167682, -4.9348022005446793};
// clang-format on

template <class T>
struct Format;

template <>
struct Format<float> {
    static constexpr float round = 12582912.0f;  // 1.5 * 2^23
    static constexpr int mantissa = 23;
    static constexpr int32_t bias = 127;
    static constexpr int32_t mantissa_bits = 0x007fffff;
    static constexpr int32_t sqrt_half = 0x3f3504f3;  // bits of sqrt(1/2)
    static constexpr float smallest_normal = 1.17549435e-38f;
    static constexpr float ln2_high = 0.693145751953125f;  // 12 bits: k * ln2_high is exact
    static constexpr float ln2_low = 1.42860682e-6f;
    static constexpr float exp_high = 89.0f, exp_low = -104.0f;  // beyond: infinity, zero
    static constexpr float exp_normal = 87.0f;                   // up to here exp(x) and exp(-x) are normal
    static constexpr float expm1_low = -18.0f;                   // beyond: -1
    static constexpr float log1p_same = 0x1p-30f;                // below: log1p(x) rounds to x
    static constexpr float tanh_high = 10.0f;                    // beyond: 1
    static constexpr float erfc_high = 10.1f;                    // beyond: 0
};

template <>
struct Format<double> {
    static constexpr double round = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr int mantissa = 52;
    static constexpr int64_t bias = 1023;
    static constexpr int64_t mantissa_bits = 0x000fffffffffffff;
    static constexpr int64_t sqrt_half = 0x3fe6a09e667f3bcd;
    static constexpr double smallest_normal = 2.2250738585072014e-308;
    static constexpr double ln2_high = 0.69314718036912382;  // 32 bits
    static constexpr double ln2_low = 1.9082149292705877e-10;
    static constexpr double exp_high = 710.0, exp_low = -746.0;
    static constexpr double exp_normal = 708.0;
    static constexpr double expm1_low = -40.0;
    static constexpr double log1p_same = 0x1p-60;
    static constexpr double tanh_high = 20.0;
    static constexpr double erfc_high = 27.3;
};

template <class T>
inline constexpr T kLog2E = T(1.4426950408889634);
template <class T>
inline constexpr T kInfinity = T(__builtin_inf());

// Horner's rule, highest power first.
template <class T, int N>
ONEFOLD_INLINE Vec<T> polynomial(Vec<T> x, const T (&c)[N]) {
    Vec<T> sum = broadcast(c[0]);
#pragma GCC unroll 32
    for (int i = 1; i < N; ++i) sum = fma(sum, x, broadcast(c[i]));
    return sum;
}

// The reduced argument and the exponent of exp: x = k ln 2 + r.
template <class T>
struct Reduced {
    Vec<T> r;
    IVec<T> k;
};

template <class T>
ONEFOLD_INLINE Reduced<T> reduce(Vec<T> x) {
    const Vec<T> shifted = fma(x, broadcast(kLog2E<T>), broadcast(Format<T>::round));
    const Vec<T> n = shifted - Format<T>::round;
    const IVec<T> k = (IVec<T>)shifted - (IVec<T>)broadcast(Format<T>::round);
    Vec<T> r = fma(n, broadcast(-Format<T>::ln2_high), x);
    r = fma(n, broadcast(-Format<T>::ln2_low), r);
    return {r, k};
}

// exp(x) / 2^k, in [sqrt(1/2), sqrt(2)] or so, with that k.
template <class T>
ONEFOLD_INLINE Vec<T> exp_mantissa(Vec<T> x, IVec<T>& k) {
    const Reduced<T> reduced = reduce<T>(x);
    k = reduced.k;
    return fma(polynomial<T>(reduced.r, kExp<T>), reduced.r * reduced.r, reduced.r) + T(1);
}

// exp where some result may not be a normal number. A product that comes out denormal takes a processor 150
// cycles or more. Here no result is such a product: 2^64 times the result is rounded by an addition, to a
// multiple of what stands for the smallest denormal number, and the count of these is the result's bits.
// With this case apart, ns an element on a Granite Rapids core: up to |x| = 87 exp 0.24 -> 0.18, sigmoid 0.35
// -> 0.29, tanh 0.50 -> 0.42 (AVX2 0.48 -> 0.30, 0.66 -> 0.47, 0.97 -> 0.73); up to 200 exp 3.2 -> 0.38,
// sigmoid 4.5 -> 0.58, softplus 14 -> 1.0.
template <class T>
[[gnu::noinline, gnu::cold]] static Vec<T> exp_at_the_edges(Vec<T> x) {
    // Out of range first, so that the exponent stays in range; NaN passes both comparisons.
    Vec<T> inside = select(x > Format<T>::exp_high, broadcast(Format<T>::exp_high), x);
    inside = select(inside < Format<T>::exp_low, broadcast(Format<T>::exp_low), inside);
    const IVec<T> low = inside < -Format<T>::exp_normal;
    IVec<T> k;
    const Vec<T> mantissa = exp_mantissa<T>(inside, k);
    // In two steps, so that neither overflows.
    const IVec<T> lifted_k = low ? k + 64 : k, half = lifted_k >> 1;
    const Vec<T> a = (Vec<T>)((half + Format<T>::bias) << Format<T>::mantissa);
    const Vec<T> b = (Vec<T>)((lifted_k - half + Format<T>::bias) << Format<T>::mantissa);
    const Vec<T> lifted = mantissa * a * b;
    const Vec<T> least = broadcast(T(0x1p64) * Format<T>::smallest_normal);
    constexpr auto down = typename VectorOf<T>::integer(64) << Format<T>::mantissa;
    const IVec<T> bits = lifted < least ? (IVec<T>)(lifted + least) - (IVec<T>)least : (IVec<T>)lifted - down;
    return select(low, (Vec<T>)bits, lifted);
}

template <class T>
ONEFOLD_INLINE Vec<T> exp_of(Vec<T> x) {
    if (!all_within<T>(x, Format<T>::exp_normal)) [[unlikely]]
        return exp_at_the_edges<T>(x);
    IVec<T> k;
    const Vec<T> mantissa = exp_mantissa<T>(x, k);
    return (Vec<T>)((IVec<T>)mantissa + (k << Format<T>::mantissa));
}
ONEFOLD_INLINE Vf exp(Vf x) {
    return exp_of<float>(x);
}
ONEFOLD_INLINE Vd exp(Vd x) {
    return exp_of<double>(x);
}

template <class T>
ONEFOLD_INLINE Vec<T> expm1_of(Vec<T> x) {
    Vec<T> inside = select(x > Format<T>::exp_high, broadcast(Format<T>::exp_high), x);
    inside = select(inside < Format<T>::expm1_low, broadcast(Format<T>::expm1_low), inside);
    const auto [r, k] = reduce<T>(inside);
    const Vec<T> tail = fma(polynomial<T>(r, kExp<T>), r * r, r);  // exp(r) - 1
    // 2^k tail + (2^k - 1); 2^(k-1) and a doubling where 2^k itself would overflow.
    const IVec<T> most = {};
    const IVec<T> top = k > (most + Format<T>::bias);
    const Vec<T> power = (Vec<T>)(((top ? k - 1 : k) + Format<T>::bias) << Format<T>::mantissa);
    const Vec<T> one = select(top, broadcast(T(0.5)), broadcast(T(1)));
    const Vec<T> sum = fma(power, tail, power - select(top, Vec<T>{}, one));
    const Vec<T> result = select(top, sum * T(2), sum);
    return select(x == Vec<T>{}, x, result);  // keeps the sign of zero
}
ONEFOLD_INLINE Vf expm1(Vf x) {
    return expm1_of<float>(x);
}
ONEFOLD_INLINE Vd expm1(Vd x) {
    return expm1_of<double>(x);
}

// k ln 2 + log(1 + f) + c for f in [sqrt(1/2) - 1, sqrt(2) - 1] and a small c.
template <class T>
ONEFOLD_INLINE Vec<T> log_parts(Vec<T> k, Vec<T> f, Vec<T> c) {
    const Vec<T> s = f / (f + T(2));
    const Vec<T> z = s * s;
    const Vec<T> series = z * polynomial<T>(z, kLog<T>);
    const Vec<T> square = f * f * T(0.5);
    const Vec<T> low = fma(s, square + series, fma(k, broadcast(Format<T>::ln2_low), c));
    return fma(k, broadcast(Format<T>::ln2_high), f - (square - low));
}

// Splits a positive normal x into 2^k and a mantissa in [sqrt(1/2), sqrt(2)).
template <class T>
ONEFOLD_INLINE Vec<T> split(Vec<T> x, IVec<T>& k) {
    const IVec<T> bits = (IVec<T>)x;
    k = (bits - Format<T>::sqrt_half) >> Format<T>::mantissa;
    return (Vec<T>)(bits - (k << Format<T>::mantissa));
}

// Small integers as T: their bits added to those of the rounding constant.
template <class T>
ONEFOLD_INLINE Vec<T> as_real(IVec<T> k) {
    return (Vec<T>)(k + (IVec<T>)broadcast(Format<T>::round)) - Format<T>::round;
}

// What log gives outside the positive finite numbers.
template <class T>
ONEFOLD_INLINE Vec<T> log_edges(Vec<T> x, Vec<T> result) {
    const Vec<T> infinity = broadcast(kInfinity<T>);
    result = select(x == Vec<T>{}, -infinity, result);
    result = select(x == infinity, infinity, result);
    const Vec<T> nan = broadcast_bits(T(__builtin_nan("")));
    result = select(x < Vec<T>{}, nan, result);
    return select(x != x, x, result);
}

template <class T>
ONEFOLD_INLINE Vec<T> log_of(Vec<T> x) {
    // Denormals are scaled up by 2^mantissa * 2.
    constexpr T up = T(int64_t(1) << (Format<T>::mantissa + 1));
    const IVec<T> small = x < Format<T>::smallest_normal;
    IVec<T> k;
    const Vec<T> m = split<T>(select(small, x * up, x), k);
    const IVec<T> none = {};
    const Vec<T> exponent = as_real<T>(k - (small ? none + (Format<T>::mantissa + 1) : none));
    return log_edges<T>(x, log_parts<T>(exponent, m - T(1), Vec<T>{}));
}
ONEFOLD_INLINE Vf log(Vf x) {
    return log_of<float>(x);
}
ONEFOLD_INLINE Vd log(Vd x) {
    return log_of<double>(x);
}

// A number so small that log1p leaves it as it is stays out of the arithmetic: its square may be denormal.
// UpToOne: of numbers in [0, 1], or NaN, which then gives no number in particular.
template <class T, bool UpToOne = false>
ONEFOLD_INLINE Vec<T> log1p_of(Vec<T> x) {
    const IVec<T> same = abs(x) < Format<T>::log1p_same;
    const Vec<T> y = select(same, Vec<T>{}, x);
    const Vec<T> u = y + T(1);
    IVec<T> k;
    const Vec<T> m = split<T>(u, k);
    // What the rounding of 1 + y lost, relative to u; a large y has lost the 1 instead.
    Vec<T> lost = y - (u - T(1));
    if constexpr (!UpToOne) lost = select(u > T(2), T(1) - (u - y), lost);
    const IVec<T> plain = k == 0;
    const Vec<T> f = select(plain, y, m - T(1));
    const Vec<T> result = log_parts<T>(as_real<T>(k), f, select(plain, Vec<T>{}, lost / u));
    return select(same, x, UpToOne ? result : log_edges<T>(u, result));
}
ONEFOLD_INLINE Vf log1p(Vf x) {
    return log1p_of<float>(x);
}
ONEFOLD_INLINE Vd log1p(Vd x) {
    return log1p_of<double>(x);
}

template <class T>
ONEFOLD_INLINE Vec<T> with_sign(Vec<T> magnitude, Vec<T> sign) {
    return (Vec<T>)(((IVec<T>)magnitude & ~sign_bit<T>()) | ((IVec<T>)sign & sign_bit<T>()));
}

template <class T>
ONEFOLD_INLINE Vec<T> tanh_of(Vec<T> x) {
    const Vec<T> a = abs(x);
    const Vec<T> z = x * x;
    const Vec<T> small = fma(x * z, polynomial<T>(z, kTanh<T>), x);
    const Vec<T> inside = select(a > Format<T>::tanh_high, broadcast(Format<T>::tanh_high), a);
    const Vec<T> large = T(1) - T(2) / (exp_of<T>(inside + inside) + T(1));
    const Vec<T> result = select(a < T(0.625), small, with_sign<T>(large, x));
    return select(x == Vec<T>{}, x, result);
}
ONEFOLD_INLINE Vf tanh(Vf x) {
    return tanh_of<float>(x);
}
ONEFOLD_INLINE Vd tanh(Vd x) {
    return tanh_of<double>(x);
}

// sigmoid and softplus of x from e = exp(-|x|), which both need. Where e may be denormal it is not divided.
template <class T>
[[gnu::noinline, gnu::cold]] static Vec<T> sigmoid_at_the_edges(Vec<T> x, Vec<T> e) {
    const IVec<T> negative = x < Vec<T>{}, tiny = e < Format<T>::smallest_normal;
    const Vec<T> quotient = select(negative & ~tiny, e, broadcast(T(1))) / (e + T(1));
    return select(x != x, x, select(negative & tiny, e, quotient));
}
template <class T>
ONEFOLD_INLINE Vec<T> sigmoid_from(Vec<T> x, Vec<T> e) {
    if (!all_within<T>(x, Format<T>::exp_normal)) [[unlikely]]
        return sigmoid_at_the_edges<T>(x, e);
    return select(x < Vec<T>{}, e, broadcast(T(1))) / (e + T(1));
}
template <class T>
ONEFOLD_INLINE Vec<T> softplus_from(Vec<T> x, Vec<T> e) {
    const Vec<T> positive = select(x > Vec<T>{}, x, Vec<T>{});
    return select(x != x, x, positive + log1p_of<T, true>(e));
}

template <class T>
ONEFOLD_INLINE Vec<T> sigmoid_of(Vec<T> x) {
    return sigmoid_from<T>(x, exp_of<T>(-abs(x)));
}
ONEFOLD_INLINE Vf sigmoid(Vf x) {
    return sigmoid_of<float>(x);
}
ONEFOLD_INLINE Vd sigmoid(Vd x) {
    return sigmoid_of<double>(x);
}

template <class T>
ONEFOLD_INLINE Vec<T> softplus_of(Vec<T> x) {
    return softplus_from<T>(x, exp_of<T>(-abs(x)));
}
ONEFOLD_INLINE Vf softplus(Vf x) {
    return softplus_of<float>(x);
}
ONEFOLD_INLINE Vd softplus(Vd x) {
    return softplus_of<double>(x);
}

// erfc for x >= 1/2: exp(-x^2) is corrected for what the square lost to rounding.
template <class T>
ONEFOLD_INLINE Vec<T> erfc_large(Vec<T> x) {
    const Vec<T> inside = select(x > Format<T>::erfc_high, broadcast(T(1)), x);
    const Vec<T> square = inside * inside;
    const Vec<T> lost = fma(inside, inside, -square);
    const Vec<T> t = T(1) / fma(inside, broadcast(T(0.5)), broadcast(T(1)));
    const Vec<T> scaled = t * polynomial<T>(t - T(0.4375), kErfc<T>);
    const Vec<T> result = fma(-lost, scaled, scaled) * exp_of<T>(-square);
    return select(x > Format<T>::erfc_high, Vec<T>{}, result);
}

template <class T>
ONEFOLD_INLINE Vec<T> erf_small(Vec<T> x) {
    constexpr T factor = T(1.1283791670955126);  // 2 / sqrt(pi)
    constexpr T rest = T(1.1283791670955126 - double(factor) + 1.5335459613165881e-17);
    const Vec<T> z = x * x;
    return fma(x, broadcast(factor), x * fma(z, polynomial<T>(z, kErf<T>), broadcast(rest)));
}

template <class T>
ONEFOLD_INLINE Vec<T> erf_of(Vec<T> x) {
    const Vec<T> a = abs(x);
    const Vec<T> large = with_sign<T>(T(1) - erfc_large<T>(a), x);
    const Vec<T> result = select(a < T(1), erf_small<T>(x), large);
    return select((x == Vec<T>{}) | (x != x), x, result);
}
ONEFOLD_INLINE Vf erf(Vf x) {
    return erf_of<float>(x);
}
ONEFOLD_INLINE Vd erf(Vd x) {
    return erf_of<double>(x);
}

template <class T>
ONEFOLD_INLINE Vec<T> erfc_of(Vec<T> x) {
    const Vec<T> a = abs(x);
    const Vec<T> tail = erfc_large<T>(a);
    const Vec<T> large = select(x < Vec<T>{}, T(2) - tail, tail);
    const IVec<T> middle = (x > T(-1)) & (x < T(0.5));
    return select(x != x, x, select(middle, T(1) - erf_small<T>(x), large));
}
ONEFOLD_INLINE Vf erfc(Vf x) {
    return erfc_of<float>(x);
}
ONEFOLD_INLINE Vd erfc(Vd x) {
    return erfc_of<double>(x);
}

// sin(pi x) and cos(pi x) of the rest after taking off the nearest multiple of one half.
template <class T>
ONEFOLD_INLINE Vec<T> turn(Vec<T> x, int quarter) {
    const Vec<T> shifted = x * T(2) + Format<T>::round;
    const IVec<T> n = (IVec<T>)shifted + quarter;
    const Vec<T> r = fma(shifted - Format<T>::round, broadcast(T(-0.5)), x);
    const Vec<T> z = r * r;
    constexpr T pi = T(3.14159265358979323846);
    constexpr T rest = T(3.14159265358979323846 - double(pi) + (sizeof(T) == 8 ? 1.2246467991473532e-16 : 0));
    const Vec<T> sine = fma(r, broadcast(pi), r * fma(z, polynomial<T>(z, kSinPi<T>), broadcast(rest)));
    const Vec<T> cosine = fma(z, polynomial<T>(z, kCosPi<T>), broadcast(T(1)));
    const Vec<T> value = select((n & 1) != 0, cosine, sine);
    return select((n & 2) != 0, -value, value);
}
template <class T>
ONEFOLD_INLINE Vec<T> sinpi_of(Vec<T> x) {
    return turn<T>(x, 0);
}
template <class T>
ONEFOLD_INLINE Vec<T> cospi_of(Vec<T> x) {
    return turn<T>(x, 1);
}

template <class T>
ONEFOLD_INLINE Vec<T> pow_of(Vec<T> x, Vec<T> y) {
    const Vec<T> l = log_of<T>(x);
    const Vec<T> p = y * l;
    const Vec<T> e = exp_of<T>(p);
    return select(abs(p) < Format<T>::exp_high, fma(fma(y, l, -p), e, e), e);
}

// The functions over one row of numbers: for Python, which needs them with the same bits everywhere.
// Operands: out, x (pow: out, x, y), all (1, n) and contiguous.
template <class T, class F>
ONEFOLD_INLINE void map_array(const Call& call, F f) {
    const int64_t n = call.operand[0].width;
    const T* second = call.operand[2].data ? data<const T>(call, 2) : data<const T>(call, 1);
    for (int64_t i = 0; i < n; i += lanes<T>) {
        const int64_t left = n - i < lanes<T> ? n - i : lanes<T>;
        store_part(data<T>(call, 0) + i,
                   f(load_part(data<const T>(call, 1) + i, left), load_part(second + i, left)), left);
    }
}

#define ONEFOLD_ARRAY_FUNCTION(name)                                          \
    template <class T>                                                        \
    static void name##_array(const Call& call) {                              \
        map_array<T>(call, [](Vec<T> x, Vec<T>) { return name##_of<T>(x); }); \
    }
ONEFOLD_ARRAY_FUNCTION(exp)
ONEFOLD_ARRAY_FUNCTION(expm1)
ONEFOLD_ARRAY_FUNCTION(log)
ONEFOLD_ARRAY_FUNCTION(log1p)
ONEFOLD_ARRAY_FUNCTION(tanh)
ONEFOLD_ARRAY_FUNCTION(sigmoid)
ONEFOLD_ARRAY_FUNCTION(softplus)
ONEFOLD_ARRAY_FUNCTION(erf)
ONEFOLD_ARRAY_FUNCTION(erfc)
ONEFOLD_ARRAY_FUNCTION(sinpi)
ONEFOLD_ARRAY_FUNCTION(cospi)

template <class T>
static void pow_array(const Call& call) {
    map_array<T>(call, [](Vec<T> x, Vec<T> y) { return pow_of<T>(x, y); });
}

// clang-format off
#define ONEFOLD_MATH_KERNELS(X) \
    X(exp_array) X(expm1_array) X(log_array) X(log1p_array) X(tanh_array) X(sigmoid_array) \
    X(softplus_array) X(erf_array) X(erfc_array) X(sinpi_array) X(cospi_array) X(pow_array)
// clang-format on

}  // namespace onefold::ONEFOLD_LEVEL
