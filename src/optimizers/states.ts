/** The states of an optimizer's variables: those that steps have brought, and loaded ones that wait for a step. */

import { clone, type NamedTensorMap, type Tensor, type Variable } from '@tensorflow/tfjs-core';
import { activeBackend, type Selection, selectImplementation } from '../backends/select.js';
import { type ImplementationChoice, slotsOf } from '../backends/types.js';
import type { BoundMethod, SlotName } from '../methods/method.js';
import type { StateFormat } from '../options.js';
import type { AnchorStore } from '../variables/anchors.js';
import { averagesOfSaved } from '../variables/averages.js';
import type { ConstraintReport } from '../variables/constraint_report.js';
import { migrateRecords } from '../variables/migrate.js';
import type { ModelLike } from '../variables/output_axis.js';
import {
  presentVariable,
  reanchorRecord,
  reanchorSaved,
  reportRecords,
  reportSaved,
} from '../variables/report.js';
import { disposeSaved, matchSaved, type NamedTensor, type SavedVariable } from '../variables/saved_state.js';
import type { StartedRecord } from '../variables/start_records.js';
import { nameRecord, nameSaved, nameUnusedAnchor } from '../variables/state_names.js';
import { constraintSteps, type VariableRecord } from '../variables/variable_record.js';
import { type Averaged, type EmaSettings, emaMomentumOf } from './ema.js';
import type { GradientEntry } from './gradient_entries.js';

export class VariableStates {
  records = new Map<string, VariableRecord>();
  /** Loaded state of variables that no step has brought yet. */
  pending: SavedVariable[] = [];
  selection: Selection | null = null;

  constructor(
    private readonly method: BoundMethod,
    private readonly choice: ImplementationChoice,
    /** Given anchors of variables that no step has brought yet. */
    readonly anchors: AnchorStore,
    private readonly format: StateFormat,
  ) {}

  /** What computes the steps, or would compute the first one now. */
  current(): Selection {
    return this.selection ?? this.choose();
  }

  private choose(): Selection {
    return selectImplementation(this.choice, this.method, this.format);
  }

  /** The implementation for the active backend; state follows a change of backend. */
  select(): Selection {
    const { selection, choice } = this;
    if (selection !== null && (choice === 'reference' || selection.backend === activeBackend())) {
      return selection;
    }
    const next = this.choose();
    if (selection !== null) {
      if (selection.implementation.name === 'reference' && next.implementation.name === 'reference') {
        next.implementation = selection.implementation; // its state is in tensors, which tfjs moves
      } else {
        migrateRecords([...this.records.values()], selection.implementation, next.implementation);
      }
    }
    this.selection = next;
    return next;
  }

  /** Takes new records over, with the loaded state that they were made from. */
  take(started: readonly StartedRecord[]): void {
    for (const { record, saved } of started) {
      this.records.set(record.name, record);
      this.anchors.release(record.name);
      if (saved !== undefined) {
        this.pending = this.pending.filter((other) => other !== saved);
        disposeSaved(saved);
      }
    }
  }

  /** Frees the loaded state of variables that other ranks step; `entries`: what this rank steps. */
  dropOthers(others: readonly Variable[], entries: readonly GradientEntry[]): void {
    if (others.length === 0 || this.pending.length === 0) return;
    const own = entries.filter(({ record }) => record === undefined).map(({ variable }) => variable);
    const matched = matchSaved(this.pending, [...own, ...others], this.method, this.records.size === 0);
    for (const variable of others) {
      const saved = matched.get(variable);
      if (saved === undefined) continue;
      this.pending = this.pending.filter((other) => other !== saved);
      disposeSaved(saved);
    }
  }

  /** Names of all variables. */
  names(): string[] {
    return [...this.records.keys(), ...this.pending.map(({ name }) => name)];
  }

  private read({ state }: VariableRecord, slot: SlotName): Tensor {
    return (this.selection as Selection).implementation.read(state, slot);
  }

  async reports(ema: EmaSettings | null): Promise<ConstraintReport[]> {
    const current = this.selection?.implementation;
    const updates = new Map(this.pending.map(({ name, n }) => [name, n]));
    for (const record of this.records.values()) updates.set(record.name, record.updates);
    const records = current === undefined ? [] : reportRecords(current, this.records.values());
    const [seen, waiting] = await Promise.all([records, reportSaved(this.pending, this.method)]);
    const all = [...seen, ...waiting];
    if (ema === null) return all;
    return all.map((report) => {
      return { ...report, emaMomentum: emaMomentumOf(ema, updates.get(report.name) as number) };
    });
  }

  /** The averages of the weights with the variables whose places they take; `model`: of loaded state. */
  averages(model: ModelLike | undefined): Averaged[] {
    const present = [...this.records.values()].flatMap((record) => {
      const variable = presentVariable(record);
      return variable === null ? [] : [{ variable, record }];
    });
    return [
      ...averagesOfSaved(this.pending, model, this.method),
      ...present.map((one) => ({ ...one, average: this.read(one.record, 'ema') })),
    ];
  }

  /** Copies of the averages by name. */
  namedAverages(): NamedTensorMap {
    const waiting = this.pending.flatMap(({ name, slots }) => {
      const average = slots.get('ema');
      return average === undefined ? [] : [[name, clone(average)] as const];
    });
    const seen = [...this.records.values()].map((record) => [record.name, this.read(record, 'ema')] as const);
    return Object.fromEntries([...seen, ...waiting]);
  }

  /** Makes the present weights the anchors; drops the state of variables that no longer exist, and given anchors. */
  reanchor(): void {
    for (const record of [...this.records.values()]) {
      const { implementation } = this.selection as Selection;
      const variable = presentVariable(record);
      if (variable === null) {
        implementation.disposeState(record.state);
        this.records.delete(record.name);
      } else {
        reanchorRecord(implementation, record, variable);
      }
    }
    this.pending = this.pending.map((saved) => reanchorSaved(saved, this.method));
    this.anchors.dispose();
  }

  /** Copies of everything, as named tensors. */
  toWeights(iterations: number): NamedTensor[] {
    const weights: NamedTensor[] = [];
    for (const record of this.records.values()) {
      const slots = slotsOf(record.state.spec).map(({ name }) => [name, this.read(record, name)] as const);
      weights.push(...nameRecord(record.name, slots, constraintSteps(record, iterations), record.updates));
    }
    for (const saved of this.pending) weights.push(...nameSaved(saved));
    for (const [name, anchor] of this.anchors.entries()) {
      if (this.pending.some((saved) => saved.name === name)) continue;
      weights.push(...nameUnusedAnchor(name, clone(anchor)));
    }
    return weights;
  }

  /** Puts loaded state in the place of all there is. */
  replace(pending: SavedVariable[]): void {
    for (const { state } of this.records.values()) this.selection?.implementation.disposeState(state);
    for (const saved of this.pending) disposeSaved(saved);
    this.records = new Map();
    this.pending = pending;
  }

  dispose(): void {
    this.replace([]);
    this.anchors.dispose();
  }
}
