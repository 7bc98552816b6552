/** The grammar of every name that comes from outside (contract: exact meanings). Bounded, linear checks only. */

const segment = /^[A-Za-z0-9_-]{1,64}$/;
const serviceName = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const serviceId = /^[A-Za-z0-9._-]{1,128}$/;
const controls = /\p{Cc}/u;

export const maxTopicSegments = 32;
export const maxTopicLength = maxTopicSegments * 65 - 1;
export const maxKeyBytes = 512;

/** 1 to 32 segments of `[A-Za-z0-9_-]{1,64}` joined by dots. */
export const isTopic = (text: string): boolean => {
  if (text.length === 0 || text.length > maxTopicLength) return false;
  const segments = text.split('.');
  return segments.length <= maxTopicSegments && segments.every((part) => segment.test(part));
};

/** A topic in which a segment may be `*` (exactly one segment) and the last one `>` (one or more). */
export const isTopicPattern = (text: string): boolean => {
  if (text.length === 0 || text.length > maxTopicLength) return false;
  const segments = text.split('.');
  return (
    segments.length <= maxTopicSegments &&
    segments.every(
      (part, index) => part === '*' || (part === '>' && index === segments.length - 1) || segment.test(part),
    )
  );
};

/** True when every topic that matches `inner` matches `outer` too; both are patterns. */
export const patternContains = (outer: string, inner: string): boolean => {
  const outers = outer.split('.');
  const inners = inner.split('.');
  for (let index = 0; index < outers.length; index++) {
    const wide = outers[index];
    const narrow = inners[index];
    if (narrow === undefined) return false;
    if (wide === '>') return true;
    if (narrow === '>') return false;
    if (wide !== '*' && wide !== narrow) return false;
  }
  return outers.length === inners.length;
};

/** A topic is a pattern without wildcards, so matching is containment. */
export const topicMatches = (pattern: string, topic: string): boolean => patternContains(pattern, topic);

export const isPlainTopic = (pattern: string): boolean => !pattern.includes('*') && !pattern.includes('>');

/** 1 to 512 bytes of well-formed UTF-8 without control characters. */
export const isStateKey = (text: string): boolean =>
  text.length > 0 &&
  text.length <= maxKeyBytes &&
  text.isWellFormed() &&
  !controls.test(text) &&
  new TextEncoder().encode(text).length <= maxKeyBytes;

/** A prefix of a state key: as a key, and the empty one is everything. */
export const isStatePrefix = (text: string): boolean => text === '' || isStateKey(text);

/** Keys that `state:write` never covers. */
export const isReservedKey = (key: string): boolean => key.startsWith('nexus/') || key.startsWith('plugin/');

export const isServiceName = (text: string): boolean => serviceName.test(text);
export const isServiceId = (text: string): boolean => serviceId.test(text);

/** 1 to 8 segments of `[A-Za-z0-9_-]{1,64}` joined by `/`. */
export const isMethod = (text: string): boolean => {
  const segments = text.split('/', 9);
  return text.length <= 519 && segments.length <= 8 && segments.every((part) => segment.test(part));
};
