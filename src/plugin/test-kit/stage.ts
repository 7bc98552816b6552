import { unreachable } from '../../../domain/decider.ts';
import type { Json } from '../../../domain/event.ts';
import { isJsonObject } from '../../../domain/json.ts';
import { parseJson } from '../../gateway/json.ts';
import type { Context, NexusCore } from '../../nexus-core.ts';
import type { RequestOptions, Step } from './api.ts';

/** What steps are done to. */
export type Stage = {
  readonly core: NexusCore;
  contextOf(subject: string): Context;
  /** Of its gateway, which is opened for the first request. */
  url(): Promise<string>;
};

/** What became of a step. */
export type Ended = {
  /** Why it was refused, as the problem document has it. */
  readonly refusal: { readonly [name: string]: unknown } | undefined;
  readonly value: Json;
  readonly headers: Readonly<Record<string, string>>;
};

const ended = (result: Awaited<ReturnType<NexusCore['execute']>>): Ended =>
  result.ok ? { refusal: undefined, value: result.value.result, headers: {} } : refused(result.problem);

const refused = ({ code, detail, facts }: { code: string; detail: string; facts?: object }): Ended => ({
  refusal: { code, detail, ...facts },
  value: null,
  headers: {},
});

export const perform = async ({ subject, action }: Step, stage: Stage): Promise<Ended> => {
  const { core, contextOf } = stage;
  switch (action.type) {
    case 'command':
      return ended(await core.execute({ type: action.command, data: action.data }, contextOf(subject)));
    case 'invoke': {
      const { service, method, data } = action;
      const invoked = await core.invoke(service, { method, data }, contextOf(subject));
      return invoked.ok
        ? { refusal: undefined, value: invoked.value.result, headers: {} }
        : refused(invoked.problem);
    }
    case 'request':
      return overHttp(await stage.url(), action.method, action.path, action.options);
    default:
      return unreachable(action);
  }
};

const overHttp = async (
  url: string,
  method: string,
  path: string,
  { headers, body }: RequestOptions,
): Promise<Ended> => {
  const response = await fetch(new URL(path, url), {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const parsed = parseJson(text);
  const value = parsed.ok ? parsed.value : text;
  return {
    refusal: isJsonObject(value) && !response.ok ? value : undefined,
    value,
    headers: Object.fromEntries(response.headers),
  };
};
