/** Loads a LayersModel from files, on any backend: tfjs itself reads `file://` only where tfjs-node is loaded. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { io } from '@tensorflow/tfjs-core';
import { type LayersModel, loadLayersModel } from '@tensorflow/tfjs-layers';

/**
 * Loads a model.json and the weight files that it names.
 *
 * @throws Error naming the file if it is not a LayersModel or cannot be read
 */
export async function loadModelFiles(file: string): Promise<LayersModel> {
  const load = async (): Promise<io.ModelArtifacts> => {
    const model = JSON.parse(await readFile(file, 'utf8')) as io.ModelJSON;
    if (model.modelTopology === undefined || model.weightsManifest === undefined) {
      throw new Error('it has no modelTopology and weightsManifest');
    }
    return io.getModelArtifactsForJSON(model, async (manifest) => {
      const paths = manifest.flatMap((group) => group.paths);
      const parts = await Promise.all(paths.map((path) => readFile(join(dirname(file), path))));
      const weights = Uint8Array.from(Buffer.concat(parts));
      return [manifest.flatMap((group) => group.weights), weights.buffer];
    });
  };
  try {
    return await loadLayersModel({ load });
  } catch (error) {
    throw new Error(`cannot load the model ${file}: ${(error as Error).message}`, { cause: error });
  }
}
