#define ONEFOLD_LEVEL portable
#define ONEFOLD_VECTOR_BYTES 16
#include "kernels/list.hpp"
