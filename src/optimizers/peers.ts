/** What an optimizer asks of the other ranks of a parallel training; tfjs-ftp/parallel answers. */

import type { Variable } from '@tensorflow/tfjs-core';
import type { NamedTensor } from '../variables/saved_state.js';
import type { GradientEntry } from './gradient_entries.js';

/** The gradients of all ranks together. */
export interface SharedGradients {
  /** Of the variables that this rank steps; those of the step's gradients alone. */
  entries: GradientEntry[];
  /** Name of the first variable whose gradient is not finite, where that was looked at. */
  nonFinite: string | null;
}

export interface Peers {
  /** Lets the variables that are new here have the weights of rank 0, before gradients are taken at them. */
  begin(variables: readonly Variable[]): void;
  /**
   * Does what ranks do around a step.
   *
   * @param check checks this rank's gradients; where it throws, every rank throws, and nothing has changed.
   * @param iterations of the optimizer.
   * @param take takes the step with the gradients of all; returns whether weights may have changed.
   */
  step(check: () => GradientEntry[], iterations: number, take: (gradients: SharedGradients) => boolean): void;
  /** Where each rank steps a share of the variables. */
  readonly shares: Shares | null;
}

/** Variables of which each rank steps, and keeps the state of, a share. */
export interface Shares {
  /** Names of the present step's variables that other ranks step. */
  others(): string[];
  /**
   * Tells all ranks what this one found before its step.
   *
   * @param names of the variables that this rank steps now.
   * @param sums of their gradients, as `Implementation.gather` gives them; null: not needed.
   * @param bad name of one whose gradient is not finite.
   * @returns the sum over the variables of all ranks, and the first name that any rank found.
   * @throws FtpError RANKS_DIFFER where another rank has failed.
   */
  agree(
    names: readonly string[],
    sums: Float64Array | null,
    bad: string | null,
  ): { total: number; bad: string | null };
  /** Ends the job: this rank has failed where the others have gone on. */
  abort(error: unknown): never;
  /** Gives the weights that this rank has to all others. */
  gatherWeights(): void;
  /** The states of all ranks, from that of this rank; frees what it is given. To be called by all. */
  consolidate(own: NamedTensor[]): Promise<NamedTensor[]>;
}
