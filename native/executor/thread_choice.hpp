// Whether small updates run on all threads or on one: found by trying both, now and then.
//
// Threads hand each other gradients and weights through their caches, and what that costs depends on where
// the system has put them. On one virtual machine of two Zen 5 cores, from one minute to the next,
// microseconds of an update with one thread and with two: 64-128-128-10 at 32 rows 26 and 19, or 26 and 45;
// 100-256-256-10 at 32 rows 99 and 141; 33-77-51-3 at 100 rows 24 and 40. The bits are the same, so the
// faster one may be taken.
#pragma once

#include <algorithm>
#include <limits>

namespace onefold {

class ThreadChoice {
public:
    // Updates of more operations than this (some 250 microseconds of one core) are worth all threads.
    static constexpr double kMostOperations = 6e7;

    // What the next update shall do.
    bool alone() const { return alone_; }

    // Seconds of an update that did it.
    void record(double seconds) {
        passed_ += seconds;
        if (!trying_) {
            trying_ = passed_ > period_;
            if (trying_) passed_ = 0;
            return;
        }
        if (passed_ < kUntilAwake) return;
        double& best = best_[alone_ ? 1 : 0];
        best = std::min(best, seconds);
        if (++tried_ < kTries) return;
        tried_ = 0;
        passed_ = 0;
        alone_ = !alone_;
        if (best_[alone_ ? 1 : 0] == kNever) return;  // now the other one
        const bool alone = best_[1] < best_[0];
        period_ = alone == kept_ ? std::min(2 * period_, kLongestPeriod) : kShortestPeriod;
        alone_ = kept_ = alone;
        trying_ = false;
        best_[0] = best_[1] = kNever;
    }

private:
    static constexpr int kTries = 4;
    // Seconds: a thread that was not needed sleeps, and takes a while to wake; between trials.
    static constexpr double kUntilAwake = 5e-4, kShortestPeriod = 0.02, kLongestPeriod = 0.32;
    static constexpr double kNever = std::numeric_limits<double>::infinity();

    bool alone_ = false, kept_ = false, trying_ = true;
    int tried_ = 0;
    double passed_ = 0, period_ = kShortestPeriod;
    double best_[2] = {kNever, kNever};  // of a trial: with all threads, with one
};

}  // namespace onefold
