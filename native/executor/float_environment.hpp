// Round to nearest, denormals kept: what the arithmetic is defined in. Other libraries switch
// denormals off for a whole thread; every entry into the native core sets its own and puts back
// what it found.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace onefold {

class FloatEnvironment {
public:
    FloatEnvironment() : found_(get()) { set(kDefault); }
    ~FloatEnvironment() { set(found_); }
    FloatEnvironment(const FloatEnvironment&) = delete;
    FloatEnvironment& operator=(const FloatEnvironment&) = delete;

private:
#if defined(__x86_64__)
    static constexpr uint64_t kDefault = 0x1f80;  // all exceptions masked, nearest, no flushing
    static uint64_t get() { return _mm_getcsr(); }
    static void set(uint64_t value) { _mm_setcsr(uint32_t(value)); }
#elif defined(__aarch64__)
    static constexpr uint64_t kDefault = 0;
    static uint64_t get() {
        uint64_t value;
        asm volatile("mrs %0, fpcr" : "=r"(value));
        return value;
    }
    static void set(uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
    static constexpr uint64_t kDefault = 0;
    static uint64_t get() { return 0; }
    static void set(uint64_t) {}
#endif
    uint64_t found_;
};

}  // namespace onefold
