/** Images that the visitor draws or picks, as the net takes them. */
import { IMAGE_BYTES, IMAGE_SIZE } from '../characters.js';

/** Of the line, as a share of the pad's width. */
const PEN = 0.09;

/** A canvas that is drawn on with mouse, finger or pen. */
export class Pad {
  private readonly context: CanvasRenderingContext2D;
  private empty = true;

  /** @param changed called after each stroke. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    changed: () => void = () => {},
  ) {
    this.context = canvas.getContext('2d', { willReadFrequently: true }) as CanvasRenderingContext2D;
    this.clear();
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.line(event, true);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (event.buttons !== 0 && canvas.hasPointerCapture(event.pointerId)) this.line(event, false);
    });
    canvas.addEventListener('pointerup', changed);
  }

  get isEmpty(): boolean {
    return this.empty;
  }

  clear(): void {
    const { context, canvas } = this;
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    this.empty = true;
  }

  show(image: CanvasImageSource): void {
    this.clear();
    this.context.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
    this.empty = false;
  }

  read(): Uint8Array {
    return pixelsOf(this.canvas);
  }

  private line({ offsetX, offsetY }: PointerEvent, starts: boolean): void {
    const { context, canvas } = this;
    const [x, y] = [
      (offsetX * canvas.width) / canvas.clientWidth,
      (offsetY * canvas.height) / canvas.clientHeight,
    ];
    context.lineWidth = PEN * canvas.width;
    context.lineCap = 'round';
    context.lineJoin = 'round';
    if (starts) {
      context.beginPath();
      context.moveTo(x, y);
    }
    context.lineTo(x, y);
    context.stroke();
    this.empty = false;
  }
}

/** A picture brought to 32 x 32 pixels, red, green, blue; what is transparent is white. Halves until it is near, as a filter. */
export function pixelsOf(source: HTMLCanvasElement | ImageBitmap): Uint8Array {
  let [image, width, height]: [CanvasImageSource, number, number] = [source, source.width, source.height];
  for (;;) {
    const [w, h] = [Math.max(IMAGE_SIZE, width >> 1), Math.max(IMAGE_SIZE, height >> 1)];
    const last = w === IMAGE_SIZE && h === IMAGE_SIZE;
    const canvas = new OffscreenCanvas(w, h);
    const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
    context.fillStyle = '#fff';
    context.fillRect(0, 0, w, h);
    context.imageSmoothingQuality = 'high';
    context.drawImage(image, 0, 0, w, h);
    if (last) return withoutAlpha(context.getImageData(0, 0, w, h).data);
    [image, width, height] = [canvas, w, h];
  }
}

export function withoutAlpha(rgba: Uint8ClampedArray): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from] as number;
    rgb[to++] = rgba[from + 1] as number;
    rgb[to++] = rgba[from + 2] as number;
  }
  return rgb;
}

/** The picture of a file, the middle of it where it is no square. */
export async function readFile(file: File): Promise<ImageBitmap> {
  const whole = await createImageBitmap(file);
  const side = Math.min(whole.width, whole.height);
  const [x, y] = [(whole.width - side) >> 1, (whole.height - side) >> 1];
  return createImageBitmap(whole, x, y, side, side);
}

/** A small canvas that shows an image. */
export function thumbnail(pixels: Uint8Array): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = IMAGE_SIZE;
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  const image = context.createImageData(IMAGE_SIZE, IMAGE_SIZE);
  for (let from = 0, to = 0; from < IMAGE_BYTES; to += 4) {
    image.data.set([pixels[from++] as number, pixels[from++] as number, pixels[from++] as number, 255], to);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
