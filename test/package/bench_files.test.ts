// Reading, comparing and drawing the benchmark's files, on small reports that the tests make up. No times are measured here.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { casesAbove, compareReports } from '../../bench/compare.js';
import { FORMULA_FLOPS, flopsPerParameter } from '../../bench/counts.js';
import { type ReportFile, readReport } from '../../bench/report_file.js';
import { drawRoofline } from '../../bench/roofline.js';
import { peakFloat32, rooflinePanels, theoreticalBandwidth } from '../../bench/roofs.js';
import type { CudaContender, CudaReport } from '../../bench/schema.js';
import { judgeCudaTargets } from '../../bench/targets.js';
import { Random } from '../../tools/random.js';
import { root, runNode, start, temporaryFolder } from './support.js';

const MAIN = path.join(root, 'dist', 'tools', 'bench', 'main.js');
const CPU_RESULTS = path.join(root, 'bench', 'results', '2026-11-23-epyc-2core-kernels.json');
const PARAMETERS = 1e8;

/** Samples around the time that a bandwidth gives, 1% apart or so; `seed` is the run's. */
function contender(
  name: string,
  optimizer: string,
  bytes: number,
  gigabytes: number,
  seed: number,
): CudaContender {
  const random = new Random(seed, name);
  const seconds = (bytes * PARAMETERS) / (gigabytes * 1e9);
  return {
    name,
    optimizer,
    layout: optimizer === 'ftp-adamw' ? 'rows' : null,
    version: optimizer === 'copy' ? null : 'three',
    checked: false,
    chunkElements: optimizer === 'copy' ? null : 16384,
    bytesPerParameter: optimizer === 'copy' ? null : bytes,
    bytes: bytes * PARAMETERS,
    launches: optimizer === 'ftp-adamw' ? 3 : 1,
    repeats: 5,
    samples: Array.from({ length: 11 }, () => seconds * random.uniform(0.99, 1.01)),
    hostSamples: [1e-5],
  };
}

/** @param slower by which factor FTP-AdamW takes longer than at 3.6 TB/s */
function madeUp(seed: number, slower = 1): CudaReport {
  return {
    kind: 'cuda',
    schemaVersion: 1,
    program: 'made up',
    date: '2026-11-24T00:00:00Z',
    commit: 'a'.repeat(40),
    modified: false,
    driver: '580.1',
    driverCuda: '13.0',
    toolkit: '13.0',
    device: {
      name: 'made up',
      emulated: false,
      computeCapability: '9.0',
      memoryBytes: 1e11,
      multiprocessors: 100,
      clockHz: 2e9,
      memoryClockHz: 3e9,
      memoryBusBits: 6144,
      l2Bytes: 5e7,
    },
    rounds: 11,
    runs: [
      {
        workload: { name: 'vit', label: 'ViT-B/16', variables: 152, parameters: PARAMETERS, rows: null },
        contenders: [
          contender('copy', 'copy', 8, 4000, seed),
          contender('ftp-adamw-rows-three', 'ftp-adamw', 36, 3600 / slower, seed),
          contender('adamw-three', 'adamw', 28, 3800, seed),
        ],
      },
    ],
    leftOut: [],
  };
}

function asFile(report: CudaReport, file = 'made up.json'): ReportFile {
  return { file, kind: 'cuda', report };
}

function write(report: unknown, name: string, folder = temporaryFolder()): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, JSON.stringify(report));
  return file;
}

const emulated = (report: CudaReport): CudaReport => ({
  ...report,
  device: { ...report.device, emulated: true },
});

describe('compare', () => {
  const verdicts = (a: CudaReport, b: CudaReport, options = {}) =>
    compareReports(asFile(a), asFile(b), options).cases.map(({ name, verdict }) => [name, verdict]);

  test('finds a slowdown and a speed-up, and nothing in two runs of the same', () => {
    expect(verdicts(madeUp(1), madeUp(2))).toEqual([
      ['copy', 'noise'],
      ['ftp-adamw-rows-three', 'noise'],
      ['adamw-three', 'noise'],
    ]);
    expect(verdicts(madeUp(1), madeUp(2, 1.07))).toContainEqual(['ftp-adamw-rows-three', 'slower']);
    expect(verdicts(madeUp(1, 1.07), madeUp(2))).toContainEqual(['ftp-adamw-rows-three', 'faster']);
    expect(verdicts(madeUp(1), madeUp(2, 1.07), { tolerance: 0.1 })).toContainEqual([
      'ftp-adamw-rows-three',
      'noise',
    ]);
  });

  test('calls a difference noise that the spread of the samples explains', () => {
    const [a, b] = [madeUp(1), madeUp(2)];
    const [, first] = (a.runs[0] as CudaReport['runs'][number]).contenders;
    const [, second] = (b.runs[0] as CudaReport['runs'][number]).contenders;
    // Medians 10% apart, samples between half and twice the median.
    (first as CudaContender).samples = [1.0, 0.5, 2.0, 0.6, 1.6, 0.9, 1.2];
    (second as CudaContender).samples = [1.1, 0.5, 2.0, 0.7, 1.8, 0.8, 1.3];
    expect(verdicts(a, b)).toContainEqual(['ftp-adamw-rows-three', 'noise']);
  });

  test('takes ratios to a contender of the same run by round: a slower machine does not show', () => {
    const slow = madeUp(2);
    for (const { samples } of (slow.runs[0] as CudaReport['runs'][number]).contenders) {
      for (const [i, time] of samples.entries()) samples[i] = 1.3 * time;
    }
    expect(verdicts(madeUp(1), slow).map(([, verdict]) => verdict)).toEqual(['slower', 'slower', 'slower']);
    expect(verdicts(madeUp(1), slow, { relativeTo: 'copy' })).toEqual([
      ['ftp-adamw-rows-three', 'noise'],
      ['adamw-three', 'noise'],
    ]);
    expect(() => verdicts(madeUp(1), slow, { relativeTo: 'memcpy' })).toThrow("no contender 'memcpy'");
  });

  test('does not judge few samples, nor the emulation of a GPU', () => {
    const short = madeUp(2, 2);
    for (const one of (short.runs[0] as CudaReport['runs'][number]).contenders) one.samples.length = 4;
    const few = compareReports(asFile(madeUp(1)), asFile(short));
    expect(few.cases.map(({ verdict }) => verdict)).toEqual(Array(3).fill('not judged'));
    expect(few.cases[0]).toMatchObject({ interval: null, reason: '4 samples, 5 needed' });

    const host = compareReports(asFile(madeUp(1)), asFile(emulated(madeUp(2, 2))));
    expect(host.cases.map(({ verdict }) => verdict)).toEqual(Array(3).fill('not judged'));
    expect(host.warnings.join()).toContain('host emulation');
    for (const comparison of [few, host]) {
      expect(() => casesAbove(comparison, 1.1)).toThrow('no case could be judged');
    }
  });

  test('names cases that one file lacks, and another machine or commit', () => {
    const [a, b] = [madeUp(1), madeUp(1)];
    (a.runs[0] as CudaReport['runs'][number]).contenders.pop();
    b.device.name = 'another';
    b.commit = 'b'.repeat(40);
    b.modified = true;
    const { onlyA, onlyB, warnings } = compareReports(asFile(a), asFile(b, 'b.json'));
    expect([onlyA, onlyB]).toEqual([[], ['cuda, ViT-B/16 (100000000 parameters): adamw-three']]);
    expect(warnings).toEqual([
      'different gpu: made up and another',
      `different commit: ${a.commit} and ${b.commit}`,
      'b.json was measured with changes that are not committed',
    ]);
    b.runs = [];
    expect(() => compareReports(asFile(a), asFile(b))).toThrow('no case in common');
  });

  test('on the command line: a table, and exit code 1 above the limit alone', async () => {
    const folder = temporaryFolder();
    const a = write(madeUp(1), 'a.json', folder);
    const b = write(madeUp(2, 1.2), 'b.json', folder);
    const [plain, strict, lenient] = await Promise.all(
      [[], ['--fail-above', '1.1'], ['--fail-above', '1.3']].map((options) =>
        runNode([MAIN, 'compare', a, b, ...options]),
      ),
    );
    expect([plain?.code, strict?.code, lenient?.code]).toEqual([0, 1, 0]);
    expect(plain?.stdout).toMatch(/ftp-adamw-rows-three.*1\.2\d\d.*SLOWER/);
    expect(plain?.stdout).toMatch(/adamw-three.*within noise/);
    expect(strict?.stderr).toMatch(/slower than 1\.1 times:\n {2}.*ftp-adamw-rows-three: 1\.2/);
  });

  test('compares the files of a whole run with themselves', () => {
    const folder = path.join(root, 'bench', 'results');
    const files = fs.readdirSync(folder).filter((name) => name.endsWith('.json'));
    expect(files.length).toBeGreaterThan(0);
    for (const name of files) {
      const file = readReport(path.join(folder, name));
      const { cases, onlyA, onlyB } = compareReports(file, file);
      expect(cases.length).toBeGreaterThan(1);
      expect(cases.every(({ ratio }) => ratio === 1)).toBe(true);
      expect([...onlyA, ...onlyB]).toEqual([]);
    }
  });
});

describe('a file that does not fit the schema', () => {
  const refused = (change: (report: CudaReport) => unknown) => {
    const report = madeUp(1);
    const file = write(change(report) ?? report, 'changed.json');
    try {
      readReport(file);
    } catch (error) {
      return (error as Error).message.replace(file, 'FILE');
    }
    return 'accepted';
  };

  test('is named, with the field', () => {
    expect(refused(() => undefined)).toBe('accepted');
    const copy = (report: CudaReport) => report.runs[0]?.contenders[0] as CudaContender;
    expect(
      refused((report) => {
        copy(report).samples = [];
      }),
    ).toMatch(/^FILE is not a report of the benchmark:\n {2}runs\[0\]\.contenders\[0\]\.samples: /);
    expect(refused((report) => ({ ...report, device: undefined }))).toMatch(/\n {2}device: /);
    expect(refused((report) => ({ ...report, schemaVersion: 2 }))).toMatch(/\n {2}schemaVersion: /);
    expect(refused(() => ({ kind: 'other' }))).toMatch(/\n {2}schemaVersion: .*\n {2}environment: /s);
    const text = write('', 'text.json');
    fs.writeFileSync(text, 'not JSON');
    expect(() => readReport(text)).toThrow(`${text} is not JSON`);
  });

  test('ends the command with that message', async () => {
    const { code, stderr } = await runNode([MAIN, 'show', write({ kind: 'cuda' }, 'empty.json')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*empty\.json is not a report of the benchmark:\n {2}\w+: /);
  });
});

describe('roofline', () => {
  test('has every contender and every roof, as well-formed SVG', async () => {
    const svg = path.join(temporaryFolder(), 'roofline.svg');
    const { code, stderr } = await runNode([MAIN, 'roofline', CPU_RESULTS, '-o', svg]);
    expect([code, stderr]).toEqual([0, '']);
    const text = fs.readFileSync(svg, 'utf8');
    expect(text).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    const { default: sharp } = await import('sharp');
    const { width, height } = await sharp(Buffer.from(text)).metadata();
    expect(Math.min(width ?? 0, height ?? 0)).toBeGreaterThan(300);
    const panels = rooflinePanels(readReport(CPU_RESULTS));
    expect(panels.map(({ points }) => points.length)).toEqual([5, 5]);
    for (const { title, points, roofs } of panels) {
      expect(text).toContain(title);
      for (const { label } of points) expect(text).toContain(`${label}: `);
      for (const { label } of roofs) expect(text).toContain(`${label}, measured: `);
    }
  });

  test('puts contenders and roofs where bytes, FLOPs and times say', () => {
    const [panel] = rooflinePanels(asFile(madeUp(1)));
    expect(panel?.points.map(({ label }) => label)).toEqual(['ftp-adamw-rows-three', 'adamw-three']);
    const [ftp] = panel?.points ?? [];
    expect(ftp?.intensity).toBeCloseTo(20 / 36, 12);
    expect((ftp?.gigabytes as number) / 3600).toBeCloseTo(1, 1);
    expect(ftp?.gigaflops).toBeCloseTo(((ftp?.gigabytes as number) * 20) / 36, 9);
    expect(ftp?.gigabytesWorst).toBeLessThan(ftp?.gigabytes as number);
    const roofs = Object.fromEntries((panel?.roofs ?? []).map(({ label, value }) => [label, value]));
    expect(roofs['memory by its clock']).toBeCloseTo(2 * 3 * 768, 9);
    expect(roofs['float32 without FMA']).toBeCloseTo(128 * 100 * 2, 9);
    expect(roofs.copy).toBeGreaterThan(3900);
  });

  test('draws no roof that nobody knows, and says where nothing was measured', async () => {
    const { device } = madeUp(1);
    expect(theoreticalBandwidth({ ...device, memoryBusBits: null })).toBeNull();
    expect(peakFloat32({ ...device, computeCapability: '99.0' })).toBeNull();
    const panels = rooflinePanels(asFile(emulated(madeUp(1))));
    expect(await drawRoofline(panels, 'a test')).toContain('HOST EMULATION, no measurement: ViT-B/16');
    expect(() => rooflinePanels(asFile({ ...madeUp(1), runs: [] }))).toThrow('holds no run');
  });
});

/** Where each formula stands, and its expression there. */
const FORMULAS: { [name in keyof typeof FORMULA_FLOPS]: [file: string, expression: RegExp] } = {
  FirstMoment: ['adamw.h', /x->m = (.*?);/s],
  SecondMoment: ['adamw.h', /x->v = (.*?);/s],
  AdamWUpdate: ['adamw.h', /const T u = (.*?);/s],
  AddDecoupledDecay: ['adamw.h', /reads_weights \? (u [^:]*?) : u;/s],
  MomentumBuffer: ['sgd.h', /first_update \? d : (.*?);/s],
  DeviationFromState: ['method.h', /DeviationFromState\([^)]*\) \{\s*return (.*?);/s],
  Project: ['method.h', /Project\([^)]*\) \{\s*return (.*?);/s],
};

test('FLOPs of the formulas are those of the kernels', () => {
  for (const [name, [file, expression]] of Object.entries(FORMULAS)) {
    const source = fs.readFileSync(path.join(root, 'native', 'kernels', 'methods', file), 'utf8');
    const [, formula] = expression.exec(source) ?? [];
    expect(formula, name).toBeDefined();
    const operations = (formula as string).replaceAll('->', '.').match(/[-+*/]|Sqrt\(/g)?.length;
    expect(operations, name).toBe(FORMULA_FLOPS[name as keyof typeof FORMULA_FLOPS]);
  }
  expect(flopsPerParameter('ftp-adamw')).toBe(20);
  expect(flopsPerParameter('adamw')).toBe(13);
  expect(flopsPerParameter('torch-adamw-fused')).toBeNull();
});

test('targets on a GPU are judged by the faster version, PyTorch from a file of its own, emulation never', () => {
  const report = madeUp(1);
  const [run] = report.runs as [CudaReport['runs'][number]];
  run.contenders.push({
    ...contender('ftp-adamw-rows-one', 'ftp-adamw', 36, 3800, 1),
    version: 'one',
  });
  const torch = madeUp(2);
  const [torchRun] = torch.runs as [CudaReport['runs'][number]];
  torchRun.contenders = [
    { ...contender('torch-adamw-fused', 'torch-adamw-fused', 28, 3500, 2), version: null },
    { ...contender('authors-adamp', 'authors-adamp', 28, 100, 2), bytes: null, bytesPerParameter: null },
  ];
  const judged = judgeCudaTargets([report, torch], true).filter(({ what }) => what.includes('rows'));
  expect(judged.map(({ met }) => met)).toEqual([true, true, true]);
  expect(judged[0]?.measured?.median).toBeCloseTo(3800 / 4000, 1);
  expect(judged[1]?.measured?.median).toBeCloseTo((36 / 3800 / 28) * 3500, 1);
  const missed = judgeCudaTargets([madeUp(1, 1.2)], true);
  expect(missed.map(({ met }) => met).slice(0, 3)).toEqual([false, null, null]);
  for (const reports of [[emulated(report)], [report, emulated(torch)]]) {
    expect(judgeCudaTargets(reports, true).every(({ met }) => met === null)).toBe(true);
  }
});

/** As much of PyTorch as bench_torch.py calls; its events tell the time of the host. */
const STAND_IN_TORCH = `
import math, time, types
__version__ = "0.0"
version = types.SimpleNamespace(cuda="0.0")
class Size(tuple):
    def numel(self): return math.prod(self)
class Tensor:
    def __mul__(self, other): return self
class Generator:
    def __init__(self, device): pass
    def manual_seed(self, seed): return self
class Parameter:
    def __init__(self, value): pass
class AdamW:
    def __init__(self, parameters, **options): self.parameters = list(parameters)
    def step(self): time.sleep(0.001)
class Event:
    def __init__(self, enable_timing): pass
    def record(self): self.at = time.perf_counter()
    def synchronize(self): pass
    def elapsed_time(self, last): return 1000 * (last.at - self.at)
def randn(shape, device, generator): return Tensor()
nn = types.SimpleNamespace(Parameter=Parameter)
optim = types.SimpleNamespace(AdamW=AdamW)
device = types.SimpleNamespace(name="stand-in", major=1, minor=0, total_memory=1, multi_processor_count=1)
cuda = types.SimpleNamespace(Event=Event, synchronize=lambda: None, get_device_properties=lambda index: device)
`;

test('bench_torch.py writes what the schema says, of the lists that cuda_bench has', async () => {
  const folder = temporaryFolder();
  fs.writeFileSync(path.join(folder, 'torch.py'), STAND_IN_TORCH);
  const json = path.join(folder, 'torch.json');
  const args = ['bench/bench_torch.py', '--list', 'vit,resnet,tiny-10k', '--rounds', '2', '--json', json];
  const { code, stderr } = await start('python3', args, { env: { PYTHONPATH: folder } }).outcome;
  expect([code, stderr]).toEqual([0, '']);
  const file = readReport(json);
  if (file.kind !== 'cuda') throw new Error('expected a report of CUDA runs');
  expect(
    file.report.runs.map(({ workload: { name, variables, parameters } }) => [name, variables, parameters]),
  ).toEqual([
    ['vit', 152, 86_567_656],
    ['resnet', 161, 25_557_032],
    ['tiny-10k', 10_000, 1_618_272],
  ]);
  for (const { contenders } of file.report.runs) {
    expect(contenders.map(({ name, samples }) => [name, samples.length])).toEqual([['torch-adamw-fused', 2]]);
  }
});
