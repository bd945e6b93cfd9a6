/** Draws a vega-lite specification. */

/** @returns the picture as SVG text, on a white ground */
export async function drawSvg(spec: Record<string, unknown>): Promise<string> {
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const compiled = compile({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    ...spec,
  } as Parameters<typeof compile>[0]);
  return new vega.View(vega.parse(compiled.spec), { renderer: 'none' }).toSVG();
}
