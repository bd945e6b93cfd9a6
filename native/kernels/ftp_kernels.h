#include "step.h"
