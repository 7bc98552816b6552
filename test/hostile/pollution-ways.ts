/** How a payload comes in, and what must come of it: a code of refusal, or the status of an answer that does no harm. */
export type Way =
  | {
      readonly by: 'http';
      readonly method: string;
      readonly path: string;
      readonly type?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly by: 'graphql' | 'websocket' | 'zeromq' };
export type Payload = readonly [what: string, way: Way, text: string | undefined, expected: string | number];

export const http = (method: string, path: string, type?: string, headers?: Record<string, string>): Way => ({
  by: 'http',
  method,
  path,
  ...(type === undefined ? {} : { type }),
  ...(headers === undefined ? {} : { headers }),
});
export const put = http('PUT', '/state/target');
export const merge = http('PATCH', '/state/target', 'application/merge-patch+json');
export const patch = http('PATCH', '/state/target', 'application/json-patch+json');
export const commands = http('POST', '/commands');
export const graphql: Way = { by: 'graphql' };
export const websocket: Way = { by: 'websocket' };
export const zeromq: Way = { by: 'zeromq' };
export const get = (path: string, headers?: Record<string, string>): Way =>
  http('GET', path, undefined, headers);

// Texts, because an object literal would set its prototype.
export const proto = '{"__proto__":{"polluted":1}}';
export const constructed = '{"constructor":{"prototype":{"polluted":1}}}';
export const harmless =
  '{"toString":1,"hasOwnProperty":2,"valueOf":3,"__defineGetter__":4,"__lookupSetter__":5,"then":6}';
export const operation = (op: string, path: string, more = ''): string =>
  `[{"op":"${op}","path":"${path}"${more}}]`;
export const add = (path: string): string => operation('add', path, ',"value":1');
export const mutation = (field: string): string => JSON.stringify({ query: `mutation { ${field} }` });
