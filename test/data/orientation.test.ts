import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { orientationOf } from '../../src/data/orientation.js';
import { solid } from './image_files.js';

const ORIENTATIONS = [1, 2, 3, 4, 5, 6, 7, 8];

async function photo(orientation: number, format: 'jpeg' | 'png'): Promise<Buffer> {
  return sharp(await solid([200, 100, 50]))
    .withMetadata({ orientation })
    .toFormat(format)
    .toBuffer();
}

/** EXIF data with one tag, in the byte order of Motorola, which many cameras use and sharp does not write. */
function bigEndianExif(type: number, value: number): Buffer {
  const tag = Buffer.alloc(18);
  tag.writeUInt16BE(1, 0); // tags
  tag.writeUInt16BE(0x0112, 2);
  tag.writeUInt16BE(type, 4);
  tag.writeUInt32BE(1, 6);
  tag.writeUInt16BE(value, 10);
  return Buffer.concat([Buffer.from('MM\0*\0\0\0\x08', 'latin1'), tag]);
}

function segment(marker: number, content: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(content.length + 2, 2);
  return Buffer.concat([head, content]);
}

/** A JPEG file with segments put in front of the others. */
function withSegments(jpeg: Buffer, ...segments: Buffer[]): Buffer {
  return Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);
}

const exif = (content: Buffer) => segment(0xe1, Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), content]));

describe('the orientation of a photograph', () => {
  it.each(ORIENTATIONS)('is read from JPEG and PNG: %i', async (orientation) => {
    expect(orientationOf(await photo(orientation, 'jpeg'))).toBe(orientation);
    expect(orientationOf(await photo(orientation, 'png'))).toBe(orientation);
  });

  it('is read in both byte orders, behind other segments and fill bytes', async () => {
    const plain = await sharp(await solid([1, 2, 3]))
      .jpeg()
      .toBuffer();
    const xmp = segment(0xe1, Buffer.from('http://ns.adobe.com/xap/1.0/\0<x/>', 'latin1'));
    const file = withSegments(plain, xmp, Buffer.from([0xff, 0xff]), exif(bigEndianExif(3, 6)));
    expect(orientationOf(file)).toBe(6);
    expect((await sharp(file).metadata()).orientation).toBe(6);
  });

  it('is 1 without the tag, with a value or a type that EXIF does not have, and in other formats', async () => {
    const pixels = await solid([1, 2, 3]);
    const plain = await sharp(pixels).jpeg().toBuffer();
    expect(orientationOf(plain)).toBe(1);
    expect(orientationOf(pixels)).toBe(1);
    expect(orientationOf(withSegments(plain, exif(bigEndianExif(3, 9))))).toBe(1);
    expect(orientationOf(withSegments(plain, exif(bigEndianExif(4, 6))))).toBe(1);
    expect(orientationOf(await sharp(pixels).gif().toBuffer())).toBe(1);
    expect(orientationOf(new Uint8Array())).toBe(1);
  });

  it.each(['jpeg', 'png'] as const)('is 1 or right in a %s file that is cut anywhere', async (format) => {
    const file = await photo(6, format);
    const found = new Set<number>();
    for (let length = 0; length <= file.length; ++length) found.add(orientationOf(file.subarray(0, length)));
    expect([...found].sort()).toEqual([1, 6]);
  });

  it('ends on damaged bytes', async () => {
    const file = await photo(6, 'jpeg');
    for (let at = 2; at < 200; ++at) {
      const damaged = Buffer.from(file);
      damaged[at] = 0xff;
      expect(ORIENTATIONS).toContain(orientationOf(damaged));
    }
  });
});
