/** Every state tensor after every step against the oracle, whatever the model, the options and the gradients. */
import './emulated_ops.js';
import '../optimizers/properties.test.js';
import '../optimizers/events.test.js';
