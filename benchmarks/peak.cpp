// The most fused multiply-adds that a core gives: sixteen independent chains in registers.
#include <immintrin.h>

#include <chrono>

template <class F>
static double gflops(long steps, int lanes, F chains) {
    const auto start = std::chrono::steady_clock::now();
    chains(steps);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return 2.0 * 16 * lanes * double(steps) / seconds / 1e9;
}

static volatile float sink;

extern "C" __attribute__((target("avx512f"))) double peak_avx512(long steps) {
    return gflops(steps, 16, [](long n) __attribute__((target("avx512f"))) {
        __m512 sum[16];
        const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(1.0f);
        for (auto& s : sum) s = b;
        for (long i = 0; i < n; ++i)
#pragma GCC unroll 16
            for (int j = 0; j < 16; ++j) sum[j] = _mm512_fmadd_ps(sum[j], a, b);
        float total = 0;
        for (auto& s : sum) total += _mm512_cvtss_f32(s);
        sink = total;
    });
}

extern "C" __attribute__((target("avx2,fma"))) double peak_avx2(long steps) {
    return gflops(steps, 8, [](long n) __attribute__((target("avx2,fma"))) {
        __m256 sum[16];
        const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(1.0f);
        for (auto& s : sum) s = b;
        for (long i = 0; i < n; ++i)
#pragma GCC unroll 12
            for (int j = 0; j < 12; ++j) sum[j] = _mm256_fmadd_ps(sum[j], a, b);
        float total = 0;
        for (auto& s : sum) total += _mm256_cvtss_f32(s);
        sink = total;
    }) * 12 / 16;
}
