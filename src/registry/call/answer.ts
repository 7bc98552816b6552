import type { Json } from '../../../domain/event.ts';

export const maxAnswerBytes = 1_048_576;
const maxDepth = 64;
/** Of an answer that failed, so much stands in the problem. */
const maxQuoted = 4_096;

/** Deeper JSON could be parsed but not written again: writers recurse. */
const isTooDeep = (text: string): boolean => {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === 92) index++;
      else if (code === 34) inString = false;
    } else if (code === 34) inString = true;
    else if (code === 91 || code === 123) {
      if (++depth > maxDepth) return true;
    } else if (code === 93 || code === 125) depth--;
  }
  return false;
};

type Read = { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly why: string };

const strictText = new TextDecoder('utf-8', { fatal: true });
const lenientText = new TextDecoder();

const readJson = (bytes: Uint8Array): Read => {
  if (bytes.length === 0) return { ok: true, value: null };
  try {
    const text = strictText.decode(bytes);
    if (isTooDeep(text)) return { ok: false, why: `answered with JSON deeper than ${maxDepth} levels` };
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false, why: 'answered with something that is not JSON' };
  }
};

export type Answer =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly why: string; readonly facts: Readonly<Record<string, unknown>> };

/** The JSON of a 2xx answer (an empty one is null); anything else is a failure that quotes what came. */
export const parseAnswer = (status: number, body: Uint8Array | 'too large'): Answer => {
  if (body === 'too large') {
    return {
      ok: false,
      why: `answered with more than ${maxAnswerBytes} bytes`,
      facts: { upstreamStatus: status, body: null },
    };
  }
  const read = readJson(body);
  if (read.ok && status >= 200 && status < 300) return read;
  const small = body.length <= maxQuoted;
  const quoted = read.ok && small ? read.value : lenientText.decode(body.subarray(0, maxQuoted));
  const why = status >= 200 && status < 300 && !read.ok ? read.why : `answered with status ${status}`;
  return { ok: false, why, facts: { upstreamStatus: status, body: quoted } };
};
