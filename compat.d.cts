/** Side effect only: defines the `util` functions that @tensorflow/tfjs-node needs and Node 23 removed. */
export {};
