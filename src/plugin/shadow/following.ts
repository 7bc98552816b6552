import type { Json } from '../../../domain/event.ts';
import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import type { CallTarget, Wish, WishAnswer } from '../sandbox/sandbox.ts';

/** What a guest is subscribed to and watches, by the numbers that it chose. */
export type Following = {
  noted(wish: Wish, answer: WishAnswer): void;
  /** `message:N` as `message:orders.>`; any other target as it is. */
  labelOf(target: CallTarget): string;
  /** The target of a label, undefined when nothing of that kind is followed. */
  targetOf(label: string): CallTarget | undefined;
  labels(): readonly string[];
  clear(): void;
};

/** As many as a plugin may have. */
const maxFollowed = 64;

/** Those of an object, none of anything else. */
export const fieldsOf = (data: Json): JsonObject => (isJsonObject(data) ? data : {});

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

/** By kind of target, what begins and ends its being followed. */
const kinds = [
  { kind: 'message', begins: 'subscribe', ends: 'unsubscribe', aim: 'pattern' },
  { kind: 'change', begins: 'state.watch', ends: 'state.unwatch', aim: 'selector' },
] as const;

export const createFollowing = (): Following => {
  const labels = new Map<CallTarget, string>();
  return {
    noted({ operation, data }, answer) {
      if (!answer.ok) return;
      const fields = fieldsOf(data);
      for (const { kind, begins, ends, aim } of kinds) {
        const target = `${kind}:${String(fields.n)}`;
        if (operation === ends) labels.delete(target);
        if (operation !== begins || labels.size >= maxFollowed) continue;
        const durable = textOf(fields.durable);
        labels.set(target, `${kind}:${textOf(fields[aim])}${durable === '' ? '' : ` (${durable})`}`);
      }
    },
    labelOf: (target) => labels.get(target) ?? target,
    targetOf(label) {
      if (!kinds.some(({ kind }) => label.startsWith(`${kind}:`))) return label;
      for (const [target, known] of labels) if (known === label) return target;
      return undefined;
    },
    labels: () => [...new Set(labels.values())].toSorted(),
    clear: () => labels.clear(),
  };
};
