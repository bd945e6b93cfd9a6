/** Colours and patterns for glyphs in the wild. */
import type { SKRSContext2D } from '@napi-rs/canvas';
import type { Random } from '../tools/random.js';

/** Red, green, blue, each 0 to 255. */
export type Colour = readonly [number, number, number];

export function css([red, green, blue]: Colour): string {
  return `rgb(${red}, ${green}, ${blue})`;
}

function luma([red, green, blue]: Colour): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

function randomColour(random: Random): Colour {
  return [random.integer(0, 255), random.integer(0, 255), random.integer(0, 255)];
}

/** Two random colours whose lightness differs by at least `least` of 255: ink and paper. */
export function contrastingColours(random: Random, least = 80): [Colour, Colour] {
  for (;;) {
    const ink = randomColour(random);
    const paper = randomColour(random);
    if (Math.abs(luma(ink) - luma(paper)) >= least) return [ink, paper];
  }
}

/** A colour near another one, so that a pattern made of the two keeps its overall lightness. */
function nearby(colour: Colour, distance: number, random: Random): Colour {
  const channel = (value: number) =>
    Math.max(0, Math.min(255, Math.round(value + random.uniform(-distance, distance))));
  return [channel(colour[0]), channel(colour[1]), channel(colour[2])];
}

const PATTERNS = [gradient, stripes, checks, dots, blotches] as const;

/** Paints one of five patterns around a base colour over the whole canvas, which is square. */
export function paintTexture(context: SKRSContext2D, base: Colour, random: Random): void {
  context.save();
  random.pick(PATTERNS)(context, base, random);
  context.restore();
}

function gradient(context: SKRSContext2D, base: Colour, random: Random): void {
  const size = context.canvas.width;
  const angle = random.uniform(0, 2 * Math.PI);
  const reach = size / 2;
  const [x, y] = [Math.cos(angle) * reach, Math.sin(angle) * reach];
  const fill = context.createLinearGradient(reach - x, reach - y, reach + x, reach + y);
  fill.addColorStop(0, css(nearby(base, 70, random)));
  fill.addColorStop(1, css(nearby(base, 70, random)));
  context.fillStyle = fill;
  context.fillRect(0, 0, size, size);
}

function stripes(context: SKRSContext2D, base: Colour, random: Random): void {
  const size = context.canvas.width;
  const width = random.uniform(1.5, 5);
  context.translate(size / 2, size / 2);
  context.rotate(random.uniform(0, Math.PI));
  context.fillStyle = css(nearby(base, 60, random));
  for (let x = -size; x < size; x += 2 * width) {
    context.fillRect(x, -size, width, 2 * size);
  }
}

function checks(context: SKRSContext2D, base: Colour, random: Random): void {
  const size = context.canvas.width;
  const side = random.uniform(2, 6);
  context.translate(size / 2, size / 2);
  context.rotate(random.uniform(0, Math.PI));
  context.fillStyle = css(nearby(base, 60, random));
  const count = Math.ceil(size / side);
  for (let row = -count; row < count; ++row) {
    for (let column = -count; column < count; ++column) {
      if ((row + column) % 2 === 0) context.fillRect(column * side, row * side, side, side);
    }
  }
}

function dots(context: SKRSContext2D, base: Colour, random: Random): void {
  const size = context.canvas.width;
  const count = random.integer(15, 60);
  for (let i = 0; i < count; ++i) {
    context.fillStyle = css(nearby(base, 60, random));
    context.beginPath();
    context.arc(random.uniform(0, size), random.uniform(0, size), random.uniform(0.7, 2.5), 0, 2 * Math.PI);
    context.fill();
  }
}

function blotches(context: SKRSContext2D, base: Colour, random: Random): void {
  const size = context.canvas.width;
  const side = random.uniform(2, 8);
  for (let y = 0; y < size; y += side) {
    for (let x = 0; x < size; x += side) {
      context.fillStyle = css(nearby(base, 50, random));
      context.fillRect(x, y, side + 1, side + 1);
    }
  }
}
