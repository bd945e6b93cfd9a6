/** A chart whose points come one by one, of two trainings that are not equally far. */
import uPlot from 'uplot';

export interface Line {
  label: string;
  color: string;
  dashed?: boolean;
}

const HEIGHT = 220;

export class LiveChart {
  private plot: uPlot | null = null;
  /** By step, a value per line. */
  private points = new Map<number, Array<number | null>>();
  private drawing = false;

  constructor(
    private readonly place: HTMLElement,
    private readonly range: [number, number] | null = null,
  ) {
    new ResizeObserver(() => this.plot?.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  }

  /** Begins anew. */
  start(lines: readonly Line[]): void {
    this.plot?.destroy();
    this.points = new Map();
    const { range } = this;
    const scale: uPlot.Scale = range === null ? {} : { range };
    this.plot = new uPlot(
      {
        width: this.place.clientWidth || 400,
        height: HEIGHT,
        scales: { x: { time: false }, y: scale },
        axes: [{ label: 'step', labelSize: 20, size: 34 }, { size: 52 }],
        series: [
          { label: 'step' },
          ...lines.map(({ label, color, dashed }) => ({
            label,
            stroke: color,
            width: 2,
            spanGaps: true,
            ...(dashed ? { dash: [6, 4] } : {}),
            value: (_: uPlot, value: number | null) => (value === null ? '–' : value.toPrecision(3)),
          })),
        ],
      },
      Array.from({ length: lines.length + 1 }, () => []) as unknown as uPlot.AlignedData,
      this.place,
    );
    this.place.querySelector('canvas')?.setAttribute('role', 'img');
    this.describe(lines);
  }

  add(line: number, step: number, value: number): void {
    const lines = (this.plot?.series.length ?? 1) - 1;
    const point = this.points.get(step) ?? new Array<number | null>(lines).fill(null);
    point[line] = Number.isFinite(value) ? value : null;
    this.points.set(step, point);
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.draw();
    });
  }

  private draw(): void {
    const steps = [...this.points.keys()].sort((a, b) => a - b);
    const lines = (this.plot?.series.length ?? 1) - 1;
    const columns = Array.from({ length: lines }, (_, line) =>
      steps.map((step) => this.points.get(step)?.[line] ?? null),
    );
    this.plot?.setData([steps, ...columns]);
    this.describe(this.plot?.series.slice(1) as { label: string }[]);
  }

  /** What a screen reader says of the picture: the last value of each line. */
  private describe(lines: readonly { label: string }[]): void {
    const last = (line: number) =>
      [...this.points].sort(([a], [b]) => b - a).find(([, values]) => values[line] != null)?.[1][line];
    const text = lines.map(({ label }, line) => `${label}: ${last(line)?.toPrecision(3) ?? 'nothing yet'}`);
    this.place
      .querySelector('canvas')
      ?.setAttribute('aria-label', `Lines over the steps. ${text.join('; ')}`);
  }
}
