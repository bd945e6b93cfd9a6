/** Reads the orientation that a camera notes beside the pixels, for decoders that leave it out. */

/** The tag of the orientation in EXIF data, and the type of its value: 16 bits without a sign. */
const ORIENTATION_TAG = 0x0112;
const SHORT = 3;

/** Whether the bytes are those of a JPEG file. */
export function isJpeg(file: Uint8Array): boolean {
  return file[0] === 0xff && file[1] === 0xd8;
}

/**
 * The EXIF orientation of a JPEG or PNG file: 1 (upright) to 8. Other formats, files without the tag, and
 * damaged or cut EXIF data give 1, as a picture can be shown without it.
 *
 * This is a reader of this one tag; the EXIF packages of npm read everything but find it in JPEG alone.
 *
 * @param file the whole file
 */
export function orientationOf(file: Uint8Array): number {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  try {
    if (isJpeg(file)) return orientationInJpeg(view);
    if (view.getUint32(0) === 0x89504e47) return orientationInPng(view);
  } catch (error) {
    // DataView throws a RangeError where a length points beyond the end of the file.
    if (!(error instanceof RangeError)) throw error;
  }
  return 1;
}

/** Segments: marker (0xff, a byte), length (16 bits, itself included), content. EXIF is in an APP1 (0xffe1). */
function orientationInJpeg(view: DataView): number {
  const app1 = 0xffe1;
  const startOfScan = 0xffda;
  for (let at = 2; ; at += 2 + view.getUint16(at + 2)) {
    while (view.getUint16(at) === 0xffff) ++at; // Fill bytes may stand before a marker.
    const marker = view.getUint16(at);
    if (marker < 0xff00 || marker === startOfScan) return 1;
    const isExif = view.getUint32(at + 4) === 0x45786966 && view.getUint16(at + 8) === 0; // 'Exif\0\0'
    if (marker === app1 && isExif) return orientationInTiff(view, at + 10);
  }
}

/** Chunks: length of the content (32 bits), type, content, checksum. EXIF is in an `eXIf`. */
function orientationInPng(view: DataView): number {
  for (let at = 8; ; at += 12 + view.getUint32(at)) {
    const type = view.getUint32(at + 4);
    if (type === 0x65584966) return orientationInTiff(view, at + 8); // 'eXIf'
    if (type === 0x49454e44) return 1; // 'IEND'
  }
}

/** EXIF data is a TIFF header and a list of tags, 12 bytes each: tag, type, count, value. */
function orientationInTiff(view: DataView, start: number): number {
  const littleEndian = view.getUint16(start) === 0x4949;
  const short = (at: number) => view.getUint16(start + at, littleEndian);
  const list = view.getUint32(start + 4, littleEndian);
  for (let i = 0; i < short(list); ++i) {
    const entry = list + 2 + i * 12;
    if (short(entry) !== ORIENTATION_TAG || short(entry + 2) !== SHORT) continue;
    const value = short(entry + 8);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}
