/** The authors' trajectories through tfjs-node, TensorFlow, the ops' GPU code and the CUDA kernels' bodies. */
import './emulated_ops.js';
import '../backends/golden.test.js';
