// Every kernel of a level, in one table. A kernel file ends with a macro that names its kernels.
#include "../kernel.hpp"
#include "../simd.hpp"
#include "../square_root.hpp"

#include "math.hpp"
#include "rows.hpp"

#include "activations.hpp"
#include "embedding.hpp"
#include "gather.hpp"
#include "tile.hpp"
#include "narrow.hpp"
#include "few_inputs.hpp"

#include "linear.hpp"
#include "losses.hpp"
#include "optimizers.hpp"
#include "random.hpp"
#include "transpose.hpp"

namespace onefold {

#define ONEFOLD_ENTRY(name) {#name, ONEFOLD_LEVEL::name<float>, ONEFOLD_LEVEL::name<double>},
#define ONEFOLD_JOIN(a, b) a##b
#define ONEFOLD_TABLE(level) ONEFOLD_JOIN(kernels_, level)
#define ONEFOLD_TEXT(x) #x
#define ONEFOLD_NAME(level) ONEFOLD_TEXT(level)

KernelTable ONEFOLD_TABLE(ONEFOLD_LEVEL)() {
    static const KernelEntry entries[] = {
        ONEFOLD_MATH_KERNELS(ONEFOLD_ENTRY) ONEFOLD_ACTIVATION_KERNELS(ONEFOLD_ENTRY)
            ONEFOLD_EMBEDDING_KERNELS(ONEFOLD_ENTRY) ONEFOLD_GATHER_KERNELS(ONEFOLD_ENTRY)
                ONEFOLD_LINEAR_KERNELS(ONEFOLD_ENTRY) ONEFOLD_LOSS_KERNELS(ONEFOLD_ENTRY)
                    ONEFOLD_OPTIMIZER_KERNELS(ONEFOLD_ENTRY) ONEFOLD_RANDOM_KERNELS(ONEFOLD_ENTRY)
                        ONEFOLD_TRANSPOSE_KERNELS(ONEFOLD_ENTRY)};
    ONEFOLD_LEVEL::choose_roots();
    return {ONEFOLD_NAME(ONEFOLD_LEVEL), entries, sizeof entries / sizeof *entries};
}

}  // namespace onefold
