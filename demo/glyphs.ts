/**
 * Draws single characters as 32x32 RGB images, with random placement, size, rotation, colours and textures.
 */
import type { Canvas, SKRSContext2D } from '@napi-rs/canvas';
import type { Random } from '../tools/random.js';
import { IMAGE_BYTES, IMAGE_SIZE } from './characters.js';
import { type CanvasModule, loadCanvas } from './fonts.js';
import { type Colour, contrastingColours, css, paintTexture } from './textures.js';

export * from './characters.js';

/**
 * `plain`: black on white. `recoloured`: two random colours. `textured`: a pattern behind, and often
 * inside.
 */
export type Style = 'plain' | 'recoloured' | 'textured';

export interface Placement {
  /** Height of a capital letter as a share of the image, lowest and highest. */
  height: readonly [number, number];
  /** Largest shift from the centre, in pixels. */
  shift: number;
  /** Largest rotation, in degrees. */
  rotation: number;
  /** Largest horizontal shear. */
  shear: number;
}

export const WIDE_PLACEMENT: Placement = { height: [0.45, 0.8], shift: 3, rotation: 12, shear: 0.15 };
export const NARROW_PLACEMENT: Placement = { height: [0.55, 0.75], shift: 2, rotation: 5, shear: 0 };

/** Draws glyphs on one canvas that it reuses. */
export class GlyphPainter {
  private readonly context: SKRSContext2D;
  private readonly scratch: Canvas;
  private readonly capHeights = new Map<string, number>();

  private constructor(private readonly canvas: CanvasModule) {
    this.context = canvas.createCanvas(IMAGE_SIZE, IMAGE_SIZE).getContext('2d');
    this.scratch = canvas.createCanvas(IMAGE_SIZE, IMAGE_SIZE);
  }

  static async create(): Promise<GlyphPainter> {
    return new GlyphPainter(await loadCanvas());
  }

  /** Draws one character and returns its IMAGE_BYTES bytes, row by row, red, green, blue. */
  draw(character: string, family: string, style: Style, placement: Placement, random: Random): Uint8Array {
    const context = this.context;
    const [ink, paper]: [Colour, Colour] =
      style === 'plain'
        ? [
            [0, 0, 0],
            [255, 255, 255],
          ]
        : contrastingColours(random);
    context.fillStyle = css(paper);
    context.fillRect(0, 0, IMAGE_SIZE, IMAGE_SIZE);
    if (style === 'textured') paintTexture(context, paper, random);
    if (style === 'textured' && random.chance(0.5)) {
      // The glyph cuts its shape out of a texture of its own.
      const scratch = this.scratch.getContext('2d');
      scratch.globalCompositeOperation = 'source-over';
      scratch.clearRect(0, 0, IMAGE_SIZE, IMAGE_SIZE);
      this.fillGlyph(scratch, character, family, css(ink), placement, random);
      scratch.globalCompositeOperation = 'source-atop';
      paintTexture(scratch, ink, random);
      context.drawImage(this.scratch, 0, 0);
    } else {
      this.fillGlyph(context, character, family, css(ink), placement, random);
    }
    const rgba = context.getImageData(0, 0, IMAGE_SIZE, IMAGE_SIZE).data;
    const rgb = new Uint8Array(IMAGE_BYTES);
    for (let source = 0, target = 0; target < IMAGE_BYTES; source += 4) {
      rgb[target++] = rgba[source] as number;
      rgb[target++] = rgba[source + 1] as number;
      rgb[target++] = rgba[source + 2] as number;
    }
    return rgb;
  }

  private fillGlyph(
    context: SKRSContext2D,
    character: string,
    family: string,
    fill: string,
    placement: Placement,
    random: Random,
  ): void {
    const capHeight = random.uniform(...placement.height) * IMAGE_SIZE;
    const rotation = (random.uniform(-placement.rotation, placement.rotation) * Math.PI) / 180;
    const shear = random.uniform(-placement.shear, placement.shear);
    const shiftX = random.uniform(-placement.shift, placement.shift);
    const shiftY = random.uniform(-placement.shift, placement.shift);
    context.save();
    context.font = `${(100 * capHeight) / this.capHeight(family)}px "${family}"`;
    const box = context.measureText(character);
    const width = box.actualBoundingBoxLeft + box.actualBoundingBoxRight;
    const height = box.actualBoundingBoxAscent + box.actualBoundingBoxDescent;
    // Wide display letters must fit too: shrink what would leave the image.
    const shrink = Math.min(1, (IMAGE_SIZE - 3) / Math.max(width, height));
    const room = (size: number) => Math.max(0, (IMAGE_SIZE - 2 - size * shrink) / 2);
    const limit = (shift: number, size: number) => Math.max(-room(size), Math.min(room(size), shift));
    context.translate(IMAGE_SIZE / 2 + limit(shiftX, width), IMAGE_SIZE / 2 + limit(shiftY, height));
    context.rotate(rotation);
    context.transform(shrink, 0, shear, shrink, 0, 0);
    context.fillStyle = fill;
    context.fillText(
      character,
      (box.actualBoundingBoxLeft - box.actualBoundingBoxRight) / 2,
      (box.actualBoundingBoxAscent - box.actualBoundingBoxDescent) / 2,
    );
    context.restore();
  }

  /** Height of a capital H at a font size of 100 pixels. */
  private capHeight(family: string): number {
    let height = this.capHeights.get(family);
    if (height === undefined) {
      this.context.font = `100px "${family}"`;
      height = this.context.measureText('H').actualBoundingBoxAscent;
      this.capHeights.set(family, height);
    }
    return height;
  }

  /** Encodes an image of `draw` as PNG. */
  async encodePng(rgb: Uint8Array): Promise<Buffer> {
    const canvas = this.canvas.createCanvas(IMAGE_SIZE, IMAGE_SIZE);
    const context = canvas.getContext('2d');
    const image = context.createImageData(IMAGE_SIZE, IMAGE_SIZE);
    for (let source = 0, target = 0; source < IMAGE_BYTES; target += 4) {
      image.data[target] = rgb[source++] as number;
      image.data[target + 1] = rgb[source++] as number;
      image.data[target + 2] = rgb[source++] as number;
      image.data[target + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return canvas.encode('png');
  }
}
