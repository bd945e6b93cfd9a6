/** Draws a vega-lite specification. */

/** Mean width of a character of sans-serif text, in units of its size; without a canvas vega takes it for 0.8. */
const CHARACTER_WIDTH = 0.58;

/** @returns the picture as SVG text, on a white ground */
export async function drawSvg(spec: Record<string, unknown>): Promise<string> {
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const { textMetrics } = vega as unknown as { textMetrics: { width(item: object, text: unknown): number } };
  textMetrics.width = (item, text) =>
    CHARACTER_WIDTH * ((item as { fontSize?: number }).fontSize ?? 11) * String(text ?? '').length;
  const compiled = compile({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    ...spec,
  } as Parameters<typeof compile>[0]);
  return new vega.View(vega.parse(compiled.spec), { renderer: 'none' }).toSVG();
}
