/** A list of variables as a model holds them. */

export interface ListedVariable {
  name: string;
  /** Keras layout: the output axis last. */
  shape: readonly number[];
}

export interface VariableList {
  /** What `--list` takes. */
  name: string;
  label: string;
  variables: readonly ListedVariable[];
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Parameters of the whole list. */
export function parametersOf({ variables }: VariableList): number {
  return variables.reduce((total, { shape }) => total + elementsOf(shape), 0);
}

/** A variable as a matrix: output units, and weights of each. Rank 0 and 1 are one unit. */
export function rowsOf(shape: readonly number[]): { rows: number; length: number } {
  const rows = shape.length < 2 ? 1 : (shape.at(-1) as number);
  return { rows, length: elementsOf(shape) / rows };
}
