/** Values of command line options, for commander. */
import { InvalidArgumentError } from 'commander';

/** A parser of finite numbers. @param accepted completes 'It must be ...' */
export function number(accepted: string, valid: (value: number) => boolean) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || !valid(value)) {
      throw new InvalidArgumentError(`It must be ${accepted}.`);
    }
    return value;
  };
}

export const count = number('a whole number > 0', (value) => Number.isInteger(value) && value > 0);
