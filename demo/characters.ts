/** What an image of the glyph task is, and of what. For the page, too: nothing here needs Node. */

/** Width and height of an image, in pixels. */
export const IMAGE_SIZE = 32;
/** Bytes of an image: 32 x 32 pixels of red, green, blue. */
export const IMAGE_BYTES = IMAGE_SIZE * IMAGE_SIZE * 3;

/** The 62 characters of pre-training. */
export const CHARACTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/**
 * The 32 characters of the target task, reading serial codes: Crockford's Base32, the digits and the
 * capital letters without I, L, O and U, an alphabet made so that no two of its characters are mistaken for
 * each other.
 */
export const CODE_CHARACTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
