export type { DecoderName, Fit } from './decode.js';
export type { ImageFile } from './image_files.js';
export {
  type ImageBatch,
  type ImageFolderDataset,
  type ImageFolderOptions,
  imageFolder,
} from './image_folder.js';
