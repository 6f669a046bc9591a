// How the threads of an update work together: found by trying, now and then.
//
// Threads hand each other values and weights through their caches, and what that costs depends on where the
// system has put them. On a virtual machine of two Zen 4 cores, which share a third-level cache at some
// times and at others do not, from one minute to the next (a line to the other core and back: 55 or 330 ns):
// a line that the other core has read takes 7 or 28 ns to be written again, because its copy there has to go
// first; a store past the caches takes 2.4 ns either way, and reading it 1.5. Microseconds of an update, with
// stores into the caches and past them, near and far: 784-512-512-10 at 128 rows 2,180 and 2,160, 3,500 and
// 2,330; 100-256-256-10 at 256 rows 670 and 675, 1,030 and 750; 50-200-100-10 at 10,000 rows 9,050 and 9,230,
// 12,100 and 10,100; 784-1024-1024-1024-10 at 1,024 rows 75,900 and 75,600, 79,500 and 77,000. Small updates
// may even be faster on one thread: on two Zen 5 cores, with one and with two, 64-128-128-10 at 32 rows 26
// and 19, or 26 and 45. The bits are the same, so the fastest may be taken.
//
// Lost: asking for the lines for writing 16 rows ahead (0.99 to 1.02 times as fast, near and far): the price
// is one for each line, whenever it is paid.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>

namespace onefold {

// All threads, with stores into the caches or past them, or one thread.
enum class Mode : int { cached, streamed, alone };

class ModeChoice {
public:
    explicit ModeChoice(int modes = 0) : modes_(modes) {}

    // Updates of more operations than this (some 250 microseconds of one core) are worth all threads.
    static constexpr double kMostOperationsAlone = 6e7;

    // What the next update shall do. `small`: it may be faster on one thread.
    Mode next(bool small) {
        const int modes = small ? 3 : 2;
        if (modes != modes_) *this = ModeChoice(modes);
        return Mode(mode_);
    }

    // Seconds of the update that did it.
    void record(double seconds) {
        if (std::exchange(first_, false)) return;  // it found memory that nobody had touched
        passed_ += seconds;
        if (!trying_) {
            trying_ = passed_ > std::max(period_, kShare * trial_);
            if (trying_) passed_ = trial_ = turn_ = 0;
            return;
        }
        trial_ += seconds;
        if (passed_ < kUntilAwake) return;
        best_[mode_] = std::min(best_[mode_], seconds);
        turn_ += seconds;
        if (++updates_ < kUpdates && turn_ < kLongestTurn) return;
        updates_ = 0;
        passed_ = turn_ = 0;
        mode_ = (mode_ + 1) % modes_;
        if (best_[mode_] == kNever) return;  // its turn now
        const int fastest = int(std::min_element(best_, best_ + modes_) - best_);
        period_ = fastest == kept_ ? std::min(2 * period_, kLongestPeriod) : kShortestPeriod;
        mode_ = kept_ = fastest;
        trying_ = false;
        std::fill_n(best_, 3, kNever);
    }

private:
    // Of a turn, at most: updates, and seconds after which one update says enough.
    static constexpr int kUpdates = 4;
    static constexpr double kLongestTurn = 0.02;
    // Seconds: a thread that was not needed sleeps, and takes a while to wake; between trials.
    static constexpr double kUntilAwake = 5e-4, kShortestPeriod = 0.02, kLongestPeriod = 0.32;
    static constexpr double kShare = 30;  // between trials, in times of one, so that slow modes cost little
    static constexpr double kNever = std::numeric_limits<double>::infinity();

    int modes_, mode_ = 0, kept_ = 0, updates_ = 0;
    bool trying_ = true, first_ = true;
    double passed_ = 0, trial_ = 0, turn_ = 0, period_ = kShortestPeriod;
    double best_[3] = {kNever, kNever, kNever};  // of a trial
};

}  // namespace onefold
