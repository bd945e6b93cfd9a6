/** Gradients that are not finite and steps that fail: nothing is written, and the next step goes on. */
import './emulated_ops.js';
import '../citizen/non_finite.test.js';
import '../optimizers/bad_gradients.test.js';
