import { InvalidArgumentError, type Command } from 'commander';

/** An argument parser for commander. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** An option that may be given more than once. */
export function repeated(value: string, others: string[] | undefined): string[] {
  return [...(others ?? []), value];
}

/** Commander options of a subcommand inherit exitOverride only when asked. */
export function commandOf(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).exitOverride();
}
