import { type Answer, request } from './rest.ts';
import type { Conflict, StateCall, StateOperation } from './state-model.ts';

/** No request may take longer; its outcome is unknown then. */
const giveUpMs = 15_000;

export type HistoryOptions = {
  readonly clients: number;
  readonly keys: readonly string[];
  readonly random: () => number;
  /** Where the next request of a client goes; waits while there is no hub. */
  readonly hubOf: (client: number) => Promise<string> | string;
  /** Called as each call begins with how many have; false ends it before it is made. */
  readonly goesOn: (begun: number) => boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Clients that never write; none unless given. */
  readonly readsOnly?: (client: number) => boolean;
};

export type History = {
  readonly calls: readonly StateCall[];
  /** Answers that say for certain that nothing was done, or connections that nobody took: no calls. */
  readonly refused: number;
  /** By `status code`: what was answered that is no outcome. */
  readonly unclear: ReadonlyMap<string, number>;
};

type Untold<One> = One extends unknown ? Omit<One, 'told'> : never;
type Asked = Untold<StateOperation>;

const isRefusedConnection = (error: unknown): boolean =>
  error instanceof Error &&
  error.cause instanceof Error &&
  'code' in error.cause &&
  error.cause.code === 'ECONNREFUSED';

const send = (url: string, asked: Asked, headers: Readonly<Record<string, string>>): Promise<Answer> => {
  const path = `/state/${encodeURIComponent(asked.key)}`;
  const signal = AbortSignal.timeout(giveUpMs);
  const onVersion = (expected: number | undefined): Readonly<Record<string, string>> => {
    if (expected === undefined) return headers;
    return { ...headers, ...(expected === 0 ? { 'if-none-match': '*' } : { 'if-match': `"${expected}"` }) };
  };
  switch (asked.type) {
    case 'get':
      return request(url, 'GET', path, { headers, signal });
    case 'put':
      return request(url, 'PUT', path, { body: { value: asked.value }, headers, signal });
    case 'cas':
      return request(url, 'PUT', path, {
        body: { value: asked.value },
        headers: onVersion(asked.expected),
        signal,
      });
    case 'delete':
      return request(url, 'DELETE', path, { headers: onVersion(asked.expected), signal });
  }
};

const conflictOf = ({ currentVersion, currentValue }: Answer['body']): Conflict => ({
  outcome: 'conflict',
  current: Number(currentVersion),
  value: currentValue,
});

/** What an answer says of its call; `nothing` was done, or `unclear` what. */
const outcomeOf = (asked: Asked, { status, body }: Answer): StateOperation | 'nothing' | 'unclear' => {
  if (status === 409 && body.code === 'busy') return 'nothing';
  switch (asked.type) {
    case 'get':
      if (status === 404) return { ...asked, told: { outcome: 'absent' } };
      if (status !== 200) return 'unclear';
      return { ...asked, told: { outcome: 'found', version: Number(body.version), value: body.value } };
    case 'put':
    case 'cas':
      if (status === 200 || status === 201)
        return { ...asked, told: { outcome: 'written', version: Number(body.version) } };
      return status === 412 && asked.type === 'cas' ? { ...asked, told: conflictOf(body) } : 'unclear';
    case 'delete':
      if (status === 204) return { ...asked, told: { outcome: 'removed' } };
      if (status === 404) return { ...asked, told: { outcome: 'absent' } };
      return status === 412 ? { ...asked, told: conflictOf(body) } : 'unclear';
  }
};

/** Lets clients put, compare and set, remove and read at random, each one call after the other, and records it all. */
export const recordHistory = async (options: HistoryOptions): Promise<History> => {
  const { clients, keys, random, hubOf, goesOn, headers = {}, readsOnly = () => false } = options;
  const calls: StateCall[] = [];
  const unclear = new Map<string, number>();
  let [begun, time, refused] = [0, 0, 0];

  const chosen = (client: number, known: ReadonlyMap<string, number>): Asked => {
    const key = keys[Math.floor(random() * keys.length)] ?? '';
    const value = `${client}-${begun}`;
    const kind = random();
    const expected = known.get(key) ?? 0;
    if (kind < 0.35 || readsOnly(client)) return { type: 'get', client, key };
    if (kind < 0.5) return { type: 'put', client, key, value };
    if (kind < 0.88) return { type: 'cas', client, key, value, expected };
    return kind < 0.94 ? { type: 'delete', client, key } : { type: 'delete', client, key, expected };
  };

  const work = async (client: number): Promise<void> => {
    /** The versions that it was told last. */
    const known = new Map<string, number>();
    for (;;) {
      const url = await hubOf(client);
      if (!goesOn(begun++)) return;
      const asked = chosen(client, known);
      const calledAt = time++;
      const put = (operation: StateOperation, returnedAt: number): void => {
        // A read that nobody answered says nothing.
        if (operation.type !== 'get' || operation.told !== undefined)
          calls.push({ operation, calledAt, returnedAt });
      };
      let answer: Answer;
      try {
        answer = await send(url, asked, headers);
      } catch (error) {
        if (isRefusedConnection(error)) refused++;
        else put(asked, Number.POSITIVE_INFINITY);
        continue;
      }
      const outcome = outcomeOf(asked, answer);
      if (outcome === 'nothing') refused++;
      else if (outcome === 'unclear') {
        const what = `${answer.status} ${String(answer.body.code)}`;
        unclear.set(what, (unclear.get(what) ?? 0) + 1);
        put(asked, Number.POSITIVE_INFINITY);
      } else {
        put(outcome, time++);
        const { told } = outcome;
        if (told?.outcome === 'found' || told?.outcome === 'written') known.set(asked.key, told.version);
        else if (told?.outcome === 'conflict') known.set(asked.key, told.current);
        else known.set(asked.key, 0);
      }
    }
  };

  await Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
  return { calls, refused, unclear };
};
