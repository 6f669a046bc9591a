#define ONEFOLD_LEVEL neon
#define ONEFOLD_VECTOR_BYTES 16
#define ONEFOLD_NEON
#include "kernels/list.hpp"
