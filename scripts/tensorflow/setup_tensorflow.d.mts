/** What {@link setupTensorflow} is told; all of it optional. */
export interface SetupTensorflowOptions {
  /** Where to look for tfjs-node first; default: the working directory. */
  project?: string;
  /** For tfjs-node-gpu instead of tfjs-node. */
  gpu?: boolean;
  /** Anew, even if a TensorFlow is there. */
  force?: boolean;
  /** A TensorFlow wheel to use instead of a download. */
  fromWheel?: string;
  /** Use only what is on this machine: fails where there is no TensorFlow. */
  skipDownload?: boolean;
  /** In front of each line that is printed. */
  prefix?: string;
}

/** Gets a TensorFlow for tfjs-node, or verifies the one that is there. Throws where neither works. */
export function setupTensorflow(options?: SetupTensorflowOptions): Promise<{
  packageName: string;
  directory: string;
  tensorflow: string;
  source: string;
  changed: boolean;
}>;
