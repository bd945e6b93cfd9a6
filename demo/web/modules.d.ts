/// <reference types="vite/client" />

declare module 'virtual:glyph-sheet' {
  /** The picture. */
  export const url: string;
  /** The name of the set of each row of images. */
  export const rows: string[];
}
