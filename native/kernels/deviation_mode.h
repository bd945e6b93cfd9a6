#include "methods/method.h"
