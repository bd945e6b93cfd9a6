/** State saved, loaded and continued, in this process and in a fresh one. */
import './emulated_ops.js';
import '../citizen/save_load.test.js';
import '../optimizers/save_load.test.js';
