import { type Json, type Position, parsePosition } from '../../domain/event.ts';
import { jsonDifference } from '../../domain/json-difference.ts';
import { isStateKey } from '../../domain/names.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { fault, invalid, ok, problem, type Result } from '../errors.ts';
import type { Context } from '../nexus-core.ts';
import type { StateDifference, StateMoment } from '../nexus-state.ts';
import { goneProblem, stateAtPosition, stateOfVersion } from '../state/past.ts';
import { parseTime } from './as-of.ts';
import type { Parts } from './parts.ts';
import type { Reads } from './reads.ts';
import { keyRule } from './states.ts';

/** Fewer digits than a position has. */
const versionText = /^\d{1,15}$/;

/** A key at one moment; `value` absent: it did not exist. */
type Side = StateMoment & { readonly value?: Json };

const sideOf = (document: StateDocument | undefined, otherwise: Position): Side =>
  document === undefined || document.deleted
    ? { version: 0, position: document?.position ?? otherwise }
    : { version: document.version, position: document.position, value: document.value };

/** How a key differs between two versions, positions or times. */
export const createStateDifference = (reads: Reads, { log }: Pick<Parts, 'log'>) => {
  const side = async (
    key: string,
    name: 'from' | 'to',
    text: string | undefined,
    context: Context,
  ): Promise<Result<Side>> => {
    const requirement = { scope: 'state:read', key } as const;
    const isMoment =
      text !== undefined &&
      (parsePosition(text)?.length === log.start.length || parseTime(text) !== undefined);
    if (text !== undefined && !isMoment && !versionText.test(text)) {
      return invalid(
        `/${name}`,
        `must be a version, a position (${log.start.length} hex digits) or an RFC 3339 time`,
      );
    }
    const at = await reads.begin(context, requirement, isMoment ? text : undefined);
    if (!at.ok) return at;
    const { store, asOf, position } = at.value;
    if (asOf !== undefined) {
      const past = stateAtPosition(store, key, asOf);
      if (past.type === 'gone') return fault(goneProblem(key, past.oldest));
      return ok(sideOf(past.type === 'found' ? past.document : undefined, asOf));
    }
    if (text === undefined) return ok(sideOf(store.read<StateDocument>('state', key), position));
    const version = Number(text);
    if (version === 0) return ok({ version: 0, position: log.start });
    const past = stateOfVersion(store, key, version);
    if (past.type === 'gone') return fault(goneProblem(key, past.oldest));
    return past.type === 'none'
      ? fault(problem('not_found', `the key ${key} has no version ${version}`, { key, version }))
      : ok(sideOf(past.document, position));
  };

  return {
    stateDifference: async (
      key: string,
      { from, to }: { readonly from: string; readonly to?: string },
      context: Context,
    ): Promise<Result<StateDifference>> => {
      if (!isStateKey(key)) return invalid('/key', keyRule);
      const first = await side(key, 'from', from, context);
      if (!first.ok) return first;
      const second = await side(key, 'to', to, context);
      if (!second.ok) return second;
      const { value: then, ...before } = first.value;
      const { value: now, ...after } = second.value;
      return ok({ key, from: before, to: after, patch: jsonDifference(then, now) });
    },
  };
};
