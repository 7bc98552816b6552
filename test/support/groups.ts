import { type Answer, request, until } from './rest.ts';

export type Delivered = {
  readonly delivery: string;
  readonly attempt: number;
  readonly message: Readonly<Record<string, unknown>> & {
    readonly messageId: string;
    readonly payload: unknown;
  };
};

export type Group = {
  readonly name: string;
  /** A topic that nothing else of the test publishes on, and the subscription's pattern unless another is given. */
  readonly topic: string;
  /** Publishes one message for each payload, one after another. */
  publish(...payloads: readonly unknown[]): Promise<readonly PublishedMessage[]>;
  call(
    method: string,
    route: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
  /** Waits up to a minute for the first, unless `waitMs` says otherwise. */
  pull(max?: number, waitMs?: number): Promise<readonly Delivered[]>;
  settle(how: string, deliveries: readonly Delivered[], more?: object): Promise<Answer>;
  view(): Promise<Readonly<Record<string, unknown>>>;
  letters(query?: string): Promise<readonly Letter[]>;
  /** Asks until as many dead letters are there: they are recorded behind the answer to what failed. */
  lettersWhen(count: number): Promise<readonly Letter[]>;
};

export type Letter = Readonly<Record<string, unknown>> & { readonly messageId: string };
export type PublishedMessage = { readonly messageId: string; readonly position: string };

let made = 0;

/** A durable subscription of its own on the hub at `url`. */
export const makeGroup = async (
  url: string,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<Group> => {
  const name = `group-${++made}`;
  const topic = `of-${name}.a`;
  const path = `/subscriptions/${name}`;
  const call: Group['call'] = (method, route, body, headers = {}) =>
    request(url, method, `${path}${route}`, { headers, ...(body === undefined ? {} : { body }) });
  const created = await call('PUT', '', { topic, ...settings });
  if (created.status !== 201) throw new Error(JSON.stringify(created.body));
  return {
    name,
    topic,
    call,
    publish: async (...payloads) => {
      const published: PublishedMessage[] = [];
      for (const payload of payloads) {
        const { status, body } = await request(url, 'POST', `/events/${topic}`, { body: { payload } });
        if (status !== 201) throw new Error(JSON.stringify(body));
        published.push(body as PublishedMessage);
      }
      return published;
    },
    pull: async (max = 10, waitMs = 60_000) => {
      const { status, body } = await call('POST', '/pull', { max, waitMs });
      if (status !== 200) throw new Error(JSON.stringify(body));
      return body.deliveries as readonly Delivered[];
    },
    settle: (how, deliveries, more = {}) =>
      call('POST', `/${how}`, { deliveries: deliveries.map(({ delivery }) => delivery), ...more }),
    view: async () => (await call('GET', '')).body,
    letters: async (query = '') =>
      (await call('GET', `/dead-letters${query}`)).body.deadLetters as readonly Letter[],
    lettersWhen: async (count) => {
      const { body } = await until(
        () => call('GET', '/dead-letters'),
        ({ body: page }) => (page.deadLetters as readonly Letter[]).length === count,
      );
      return body.deadLetters as readonly Letter[];
    },
  };
};

export const payloadsOf = (deliveries: readonly Delivered[]): readonly unknown[] =>
  deliveries.map(({ message }) => message.payload);

/** Pulls until `count` have come. */
export const pullAll = async (group: Group, count: number): Promise<readonly Delivered[]> => {
  const deliveries: Delivered[] = [];
  while (deliveries.length < count) deliveries.push(...(await group.pull(count - deliveries.length)));
  return deliveries;
};
