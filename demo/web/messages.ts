/** What the page and its workers tell each other. */
import type { MethodName } from '../settings.js';

/** Images of 32 x 32 pixels, red, green, blue, one after another, and the class of each. */
export interface Images {
  pixels: Uint8Array;
  labels: number[];
}

/** What is learned and what is tested. */
export interface Data {
  classNames: string[];
  training: Images;
  /** Images like those trained on, never trained on. */
  inDistribution: Images;
  /** Shifted images by name; corrupted ones are made of `toCorrupt`. */
  shifted: { name: string; images: Images }[];
  toCorrupt: Images;
}

export type BackendChoice = 'auto' | 'webgl' | 'wasm';

export interface TrainRequest {
  type: 'train';
  method: MethodName;
  learningRate: number;
  steps: number;
  batchSize: number;
  seed: number;
  /** Steps between two tests. */
  testEvery: number;
  backend: BackendChoice;
  data: Data;
}

export type Request =
  | TrainRequest
  | { type: 'stop' }
  /** Asks what the net takes an image for. */
  | { type: 'predict'; id: number; pixels: Uint8Array };

/** Accuracies are shares from 0 to 1. */
export interface Scores {
  inDistribution: number;
  shifted: { name: string; accuracy: number }[];
  /** Mean over the shifted sets. */
  meanShifted: number;
}

export type Answer =
  | { type: 'started'; backend: string; layers: string[] }
  | { type: 'step'; step: number; loss: number }
  /** Of a part of the images; distances by layer, |W - A| / |A| with Euclidean norms. */
  | { type: 'test'; step: number; scores: Scores; distances: number[] }
  /** Of all images. */
  | { type: 'done'; steps: number; scores: Scores; secondsPerStep: number; implementation: string }
  | { type: 'prediction'; id: number; classes: { name: string; probability: number }[] }
  | { type: 'failed'; message: string };
