#define ONEFOLD_LEVEL avx512
#define ONEFOLD_VECTOR_BYTES 64
#include "kernels/list.hpp"
