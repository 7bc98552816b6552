import { streamId } from '../../domain/event.ts';
import { prefixOf } from '../../domain/names.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { state } from '../../projections/state.ts';
import type { Runner } from '../projection/runner.ts';
import type { StatePolicies } from '../state/policies.ts';
import type { Kind } from './kinds.ts';

export type KeyPolicies = Pick<StatePolicies, 'historyLimitsOf' | 'withHistoryLimits' | 'onChanged'>;

/** State keys, of which the policies of `PUT /state-policies/{pattern}` say how long a history they keep. */
export const createKeyKind = (
  { store }: Pick<Runner, 'store'>,
  policies: KeyPolicies,
  onPolicies: () => void,
): Kind => {
  let changed = true;
  const unfollow = policies.onChanged(() => {
    changed = true;
    onPolicies();
  });

  return {
    model: state.name,
    // What a key was at any time within the age can be shown, so a version ages once it is replaced.
    agesBy: 1,
    streamOf: (key) => streamId('state', key),
    newestOf: (key) => {
      const document = store.read<StateDocument>(state.name, key);
      return document && document.version - 1;
    },
    refresh() {
      const was = changed;
      changed = false;
      return was;
    },
    limitsOf(key) {
      const limits = policies.historyLimitsOf(key);
      return limits && { maxMessages: limits.maxVersions, maxAgeSec: limits.maxAgeSec, maxBytes: null };
    },
    prefixes() {
      const outermost: string[] = [];
      const all = policies.withHistoryLimits().map(({ pattern }) => prefixOf(pattern) ?? pattern);
      for (const prefix of all.toSorted()) {
        const last = outermost.at(-1);
        if (last === undefined || !prefix.startsWith(last)) outermost.push(prefix);
      }
      return outermost;
    },
    *range(prefix, after) {
      const options = after === undefined ? { prefix } : { prefix, after };
      for (const [key, { version }] of store.range<StateDocument>(state.name, options))
        yield [key, version - 1];
    },
    close: unfollow,
  };
};
