const PRIME = 16777619;

/** A number that tells whether two arrays hold the same bits, as far as 32 bits can (FNV-1a by words). */
export function fingerprint(values: Float32Array): number {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  let hash = 0x811c9dc5;
  for (let i = 0; i < words.length; ++i) hash = Math.imul(hash ^ (words[i] as number), PRIME);
  return hash >>> 0;
}
