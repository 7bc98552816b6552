import { allows } from '../../domain/access.ts';
import type { Json } from '../../domain/event.ts';
import type { Command } from '../command/catalog.ts';
import { fault, ok, type Problem, type Result } from '../errors.ts';
import type { Context } from '../nexus-core.ts';
import type { Done } from './command-call.ts';

type Fields = { readonly [name: string]: Json };

const isFields = (value: Json | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const withoutValue = ({ value: _value, ...rest }: Fields): Fields => rest;

/** What a conflict tells of the value that stands there. */
const withoutCurrent = (found: Problem): Problem => {
  if (found.facts?.currentValue === undefined) return found;
  const { currentValue: _value, ...facts } = found.facts;
  return { ...found, facts };
};

/**
 * What a write of state tells a subject that may write the keys and not read them: nothing of a value that it has not
 * sent itself (docs/adr/0044-who-may-do-what.md). What every other command did is told as it is.
 */
export const told = (command: Command, done: Result<Done>, { subject }: Context): Result<Done> => {
  const mayRead = (key: unknown): boolean =>
    typeof key === 'string' && allows(subject, { scope: 'state:read', key });
  switch (command.type) {
    case 'SetState':
    case 'PatchState':
    case 'IncrementState':
    case 'DeleteState': {
      if (mayRead(command.data.key)) return done;
      if (!done.ok) return fault(withoutCurrent(done.problem));
      const { result } = done.value;
      if (!isFields(result)) return done;
      const isOwn = command.type === 'SetState' && result.resolution === undefined;
      return isOwn ? done : ok({ ...done.value, result: withoutValue(result) });
    }
    case 'TransactState': {
      if (!done.ok) return mayRead(done.problem.facts?.key) ? done : fault(withoutCurrent(done.problem));
      const { result } = done.value;
      if (!isFields(result) || !Array.isArray(result.results)) return done;
      const results = result.results.map((entry: Json) =>
        isFields(entry) && entry.op !== 'set' && !mayRead(entry.key) ? withoutValue(entry) : entry,
      );
      return ok({ ...done.value, result: { ...result, results } });
    }
    default:
      return done;
  }
};
