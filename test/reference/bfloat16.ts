/** What bfloat16 holds of a number, worked out on numbers, not on bits: 8 significant bits, to nearest, ties to even. */
export function bfloat16(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  const place = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 7);
  // log2 may be off next to a power of two: the number of places is then 256, or less than 128.
  const places = Math.abs(x) / place;
  const unit = places < 128 ? place / 2 : places >= 256 ? place * 2 : place;
  const count = Math.abs(x) / unit;
  const below = Math.floor(count);
  const rest = count - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  return Math.fround(Math.sign(x) * (below + (up ? 1 : 0)) * unit);
}
