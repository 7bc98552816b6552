import type { Json } from '../../domain/event.ts';
import type { HookDeclaration, HookName } from '../../domain/plugin/manifest.ts';
import type { HookEntry } from '../../src/plugin/hooks/hooks.ts';
import { askGraphql } from './graphql.ts';
import { request } from './rest.ts';
import { type Frame, openWs } from './ws-client.ts';
import { openDealer } from './zeromq.ts';

export type Heard = { readonly [name: string]: Json };

/** What a plugin of the tests does with what it is handed. */
export type Handler = (input: Heard) => unknown;

/** A copy of what code answers, as it comes out of a sandbox. */
const asJson = (value: unknown): Json =>
  value === undefined ? null : (JSON.parse(JSON.stringify(value)) as Json);

/** An entry of a plugin that is a function of this process: what it throws is a fault, and it gets and gives copies. */
export const entryOf = (
  plugin: string,
  hook: HookName,
  handler: Handler,
  declaration: Partial<HookDeclaration> = {},
): HookEntry => ({
  plugin,
  hook,
  declaration: {
    match: [hook.endsWith('publish') ? '>' : '*'],
    order: 0,
    timeoutMs: 5_000,
    onFailure: 'refuse',
    ...declaration,
  },
  call: async (input) => {
    try {
      return { ok: true, value: asJson(await handler(JSON.parse(JSON.stringify(input)) as Heard)) };
    } catch (error) {
      return { ok: false, fault: 'threw', message: String(error) };
    }
  },
});

type Hub = { readonly url: string };
export type Answered = { readonly code: unknown; readonly body: Frame };

/** Runs a command by each protocol that takes commands. `zeroMq`: the endpoint of the hub's. */
export const commandsOver = (hub: Hub, zeroMq: string) =>
  [
    [
      'REST',
      async (type: string, data: object): Promise<Answered> => {
        const { status, body } = await request(hub.url, 'POST', '/commands', { body: { type, data } });
        return { code: body.code ?? (status < 300 ? 'done' : status), body };
      },
    ],
    [
      'a WebSocket',
      async (type: string, data: object): Promise<Answered> => {
        const ws = await openWs(hub.url);
        const body = await ws.ask({ type: 'command', command: { type, data } });
        await ws.close();
        return { code: body.code ?? 'done', body };
      },
    ],
    [
      'ZeroMQ',
      async (type: string, data: object): Promise<Answered> => {
        const dealer = openDealer(zeroMq);
        const body = await dealer.ask({ type: 'command', id: '1', command: { type, data } });
        dealer.close();
        return { code: body.code ?? 'done', body };
      },
    ],
  ] as const;

/** Runs a mutation; `fields` are what is asked of its result. */
export const mutate = async (hub: Hub, mutation: string, fields: string): Promise<Answered> => {
  const { data, errors } = await askGraphql(hub, `mutation { ${mutation} { ${fields} } }`);
  const [error] = errors;
  if (error !== undefined) return { code: error.extensions.code, body: error.extensions };
  const [result] = Object.values(data ?? {});
  return { code: 'done', body: result as Frame };
};
