/** The suites of all implementations on DeviceBuffers: the authors' trajectories, and every state array after every step. */
import './only_device.js';
import '../backends/golden.test.js';
import '../optimizers/events.test.js';
import '../optimizers/properties.test.js';
