/** What an optimizer's options say of each variable: its rows, whether it is excluded, what it has of its own. */

import { engine, type serialization, type Variable } from '@tensorflow/tfjs-core';
import type { BoundMethod } from '../methods/method.js';
import { warnOfDoubtfulRows } from './doubtful_rows.js';
import { type ExcludeOption, Exclusion } from './exclude.js';
import { type GroupingOptions, VariableGroups } from './groups.js';
import type { NamedShape } from './match.js';
import { type ModelLike, OutputAxes, type OutputAxisOption } from './output_axis.js';
import { RuleScales } from './rule_scales.js';
import type { StartedRecord } from './start_records.js';

/** The options, not checked yet. */
interface Given extends GroupingOptions {
  exclude?: ExcludeOption;
  model?: ModelLike;
  outputAxis?: OutputAxisOption;
}

/** A method that options were bound to, and the same with other numbers. */
interface Bound {
  method: BoundMethod;
  bind(numbers: { readonly [option: string]: number }): BoundMethod;
}

export class VariableOptions {
  readonly axes: OutputAxes;
  readonly exclusion: Exclusion;
  readonly groups: VariableGroups;
  readonly scales: RuleScales;
  private readonly method: BoundMethod;
  /** Whether the options that name variables were checked against those that there are. */
  private checked = false;
  private warnedOfRows = false;

  /**
   * @param restored what {@link toConfig} gave, in place of options.
   * @throws TypeError or RangeError for options of a wrong type or value; FtpError STATE_MISMATCH for what toConfig does
   *   not give.
   */
  constructor(given: Given, { method, bind }: Bound, restored?: { readonly [key: string]: unknown }) {
    this.method = method;
    const { model } = given;
    const weightsOfLayer =
      model === undefined ? undefined : (layer: string) => this.axes.weightsOfLayer(layer);
    const sources = { method, bind, model, weightsOfLayer };
    if (restored === undefined) {
      this.axes = new OutputAxes(model, given.outputAxis);
      this.exclusion = new Exclusion(given.exclude, weightsOfLayer);
      this.groups = VariableGroups.of(given, sources);
      this.scales = new RuleScales(method);
    } else {
      this.axes = OutputAxes.fromConfig(restored.layouts);
      this.exclusion = Exclusion.fromConfig(restored.exclusion);
      this.groups = VariableGroups.fromConfig(restored.perVariable, sources);
      this.scales = RuleScales.fromConfig(method, restored.scales);
    }
  }

  /** Whether a variable takes the plain base update. */
  isExcluded(variable: NamedShape): boolean {
    return this.exclusion.matches(variable.name) || this.groups.of(variable).excluded;
  }

  /**
   * At the first step that brings variables, checks the options that name some.
   *
   * @throws FtpError MODEL_MISMATCH or UNMATCHED_PATTERN.
   */
  check(brought: readonly Variable[]): void {
    if (this.checked || brought.length === 0) return;
    this.axes.checkModel(brought.map(({ name }) => name));
    const all = [...brought, ...Object.values(engine().registeredVariables), ...this.axes.known()];
    const distinct = [...new Map(all.map((one): [string, NamedShape] => [one.name, one])).values()];
    this.exclusion.check(distinct.map(({ name }) => name));
    this.groups.check(distinct);
    this.checked = true;
  }

  /** Says once which variables have rows that are likely wrong for their layers, which are not known. */
  warnOfRows(started: readonly StartedRecord[]): void {
    if (this.warnedOfRows || !this.method.slots.some(({ shape }) => shape === 'rows')) return;
    this.warnedOfRows = warnOfDoubtfulRows(this.axes, started);
  }

  /** As JSON. `names`: of variables that only the optimizer knows. */
  toConfig(names: Iterable<string>): serialization.ConfigDict {
    return {
      exclusion: this.exclusion.toConfig(new Set([...this.axes.names(), ...names])),
      layouts: this.axes.toConfig(),
      ...this.scales.toConfig(),
      ...this.groups.toConfig(this.axes.known()),
    };
  }
}
