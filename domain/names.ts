/** The grammar of every name that comes from outside (contract: exact meanings). Bounded, linear checks only. */

const segment = /^[A-Za-z0-9_-]{1,64}$/;
const serviceName = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const serviceId = /^[A-Za-z0-9._-]{1,128}$/;

export const maxTopicSegments = 32;
export const maxTopicLength = maxTopicSegments * 65 - 1;
export const maxKeyBytes = 512;

const dot = 46;
const star = 42;
const rest = 62;
const maxSegmentLength = 64;
const isSegmentCode = Array.from({ length: 128 }, (_, code) => segment.test(String.fromCharCode(code)));

/** One pass over the characters: both run for every message, and once more for every scope that is looked at. */
const isTopicText = (text: string, wildcards: boolean): boolean => {
  if (text.length === 0 || text.length > maxTopicLength) return false;
  let segments = 1;
  let length = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === dot) {
      if (length === 0 || ++segments > maxTopicSegments) return false;
      length = 0;
    } else if (isSegmentCode[code] === true) {
      if (++length > maxSegmentLength) return false;
    } else {
      const last = index === text.length - 1;
      const alone = length === 0 && (last || text.charCodeAt(index + 1) === dot);
      if (!wildcards || !alone || !(code === star || (code === rest && last))) return false;
      length = 1;
    }
  }
  return length > 0;
};

/** 1 to 32 segments of `[A-Za-z0-9_-]{1,64}` joined by dots. */
export const isTopic = (text: string): boolean => isTopicText(text, false);

/** A topic in which a segment may be `*` (exactly one segment) and the last one `>` (one or more). */
export const isTopicPattern = (text: string): boolean => isTopicText(text, true);

const segmentEnd = (text: string, start: number): number => {
  const end = text.indexOf('.', start);
  return end < 0 ? text.length : end;
};

/** First segment of the topics that replies are published on. */
export const replySegment = '_reply';

const isUnderReply = (pattern: string): boolean =>
  pattern.startsWith(replySegment) &&
  (pattern.length === replySegment.length || pattern.charCodeAt(replySegment.length) === dot);

/**
 * True when every topic that matches `inner` matches `outer` too; both are patterns.
 *
 * A wildcard in the first place does not stand for `_reply` (docs/adr/0021-request-and-reply.md): what is told to one
 * requester reaches those alone who name it.
 */
export const patternContains = (outer: string, inner: string): boolean => {
  const first = outer.charCodeAt(0);
  if ((first === rest || first === star) && isUnderReply(inner)) return false;
  let [wide, narrow] = [0, 0];
  for (;;) {
    if (outer.charCodeAt(wide) === rest) return true;
    if (inner.charCodeAt(narrow) === rest) return false;
    const wideEnd = segmentEnd(outer, wide);
    const narrowEnd = segmentEnd(inner, narrow);
    if (outer.charCodeAt(wide) !== star) {
      if (wideEnd - wide !== narrowEnd - narrow) return false;
      for (; wide < wideEnd; wide++, narrow++)
        if (outer.charCodeAt(wide) !== inner.charCodeAt(narrow)) return false;
    }
    const [wideDone, narrowDone] = [wideEnd === outer.length, narrowEnd === inner.length];
    if (wideDone || narrowDone) return wideDone && narrowDone;
    wide = wideEnd + 1;
    narrow = narrowEnd + 1;
  }
};

/** A topic is a pattern without wildcards, so matching is containment. */
export const topicMatches = (pattern: string, topic: string): boolean => patternContains(pattern, topic);

export const isPlainTopic = (pattern: string): boolean => !pattern.includes('*') && !pattern.includes('>');

/** Bytes in UTF-8 of the character that starts at `index`; 0 for a control character or half of a surrogate pair. */
const keyBytesAt = (text: string, index: number): number => {
  const code = text.charCodeAt(index);
  if (code < 0x80) return code < 0x20 || code === 0x7f ? 0 : 1;
  if (code < 0x800) return code < 0xa0 ? 0 : 2;
  if (code < 0xd800 || code > 0xdfff) return 3;
  const next = text.charCodeAt(index + 1);
  return code < 0xdc00 && next >= 0xdc00 && next <= 0xdfff ? 4 : 0;
};

/** 1 to 512 bytes of well-formed UTF-8 without control characters. */
export const isStateKey = (text: string): boolean => {
  if (text.length === 0 || text.length > maxKeyBytes) return false;
  let bytes = 0;
  for (let index = 0; index < text.length; index++) {
    const more = keyBytesAt(text, index);
    if (more === 0) return false;
    if (more === 4) index += 1;
    bytes += more;
  }
  return bytes <= maxKeyBytes;
};

/** A prefix of a state key: as a key, and the empty one is everything. */
export const isStatePrefix = (text: string): boolean => text === '' || isStateKey(text);

/** What stands before a final `*`, or undefined when there is none. */
export const prefixOf = (pattern: string): string | undefined =>
  pattern.endsWith('*') ? pattern.slice(0, -1) : undefined;

/** A state key, or a prefix of keys and `*` behind it; `*` alone is all of them. */
export const isStatePattern = (text: string): boolean => {
  const prefix = prefixOf(text);
  return prefix === undefined ? isStateKey(text) : isStatePrefix(prefix);
};

/** True when `key` is one that `pattern` is for; both are well formed. */
export const matchesKey = (pattern: string, key: string): boolean => {
  const prefix = prefixOf(pattern);
  return prefix === undefined ? pattern === key : key.startsWith(prefix);
};

/** NAME of a key that begins with `plugin/NAME/`. */
export const pluginOfKey = (key: string): string | undefined => {
  if (!key.startsWith('plugin/')) return undefined;
  const end = key.indexOf('/', 7);
  return end > 7 ? key.slice(7, end) : undefined;
};

export const reservedPrefixes = ['nexus/', 'plugin/'] as const;
/** Keys that `state:write` never covers. */
export const isReservedKey = (key: string): boolean => key.startsWith('nexus/') || key.startsWith('plugin/');

export const isServiceName = (text: string): boolean => serviceName.test(text);
export const isServiceId = (text: string): boolean => serviceId.test(text);
/** `[A-Za-z0-9._-]{1,128}`, as the id of a service. */
export const isSubscriptionName = (text: string): boolean => serviceId.test(text);

/** 1 to 8 segments of `[A-Za-z0-9_-]{1,64}` joined by `/`. */
export const isMethod = (text: string): boolean => {
  const segments = text.split('/', 9);
  return text.length <= 519 && segments.length <= 8 && segments.every((part) => segment.test(part));
};
