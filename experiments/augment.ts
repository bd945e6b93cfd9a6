/** Light augmentation: an image a little shifted, turned, larger or smaller, mirrored, with other light. */
import type { Random } from '../tools/random.js';
import type { Picture } from './corruptions.js';

/** Largest shift as a share of the size, largest turn in degrees, and factors of size and light. */
const SHIFT = 0.08;
const TURN = 10;
const ZOOM = [0.85, 1.15] as const;
const LIGHT = [0.85, 1.15] as const;

/** A changed copy; what comes in from outside is the image's own border. */
export function augmented({ data, height, width }: Picture, random: Random): Uint8Array {
  const angle = (random.uniform(-TURN, TURN) * Math.PI) / 180;
  const zoom = random.uniform(...ZOOM);
  const mirror = random.chance(0.5) ? -1 : 1;
  const light = random.uniform(...LIGHT);
  const shift = [random.uniform(-SHIFT, SHIFT) * height, random.uniform(-SHIFT, SHIFT) * width] as const;
  const [cos, sin] = [Math.cos(angle) / zoom, Math.sin(angle) / zoom];
  const [middleY, middleX] = [(height - 1) / 2, (width - 1) / 2];
  const result = new Uint8Array(data.length);
  for (let y = 0, i = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      const [dy, dx] = [y - middleY - shift[0], (x - middleX - shift[1]) * mirror];
      const sourceY = Math.min(Math.max(middleY + cos * dy - sin * dx, 0), height - 1);
      const sourceX = Math.min(Math.max(middleX + sin * dy + cos * dx, 0), width - 1);
      const [y0, x0] = [Math.floor(sourceY), Math.floor(sourceX)];
      const [y1, x1] = [Math.min(y0 + 1, height - 1), Math.min(x0 + 1, width - 1)];
      const [fy, fx] = [sourceY - y0, sourceX - x0];
      for (let c = 0; c < 3; ++c, ++i) {
        const at = (row: number, column: number) => data[(row * width + column) * 3 + c] as number;
        const value =
          (at(y0, x0) * (1 - fx) + at(y0, x1) * fx) * (1 - fy) +
          (at(y1, x0) * (1 - fx) + at(y1, x1) * fx) * fy;
        result[i] = Math.min(255, Math.round(value * light));
      }
    }
  }
  return result;
}
