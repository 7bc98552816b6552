/** Semantic Versioning 2.0.0, as far as interfaces need it. Versions are at most 128 characters, and checked before. */

export type Version = {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** Identifiers of a pre-release; empty for a release. */
  readonly preRelease: readonly string[];
};

const number = /^(?:0|[1-9]\d{0,15})$/;
const digits = /^\d+$/;

/** Undefined for text that is no version. A `v` or `=` in front and space around are let pass, as npm does. */
export const parseVersion = (text: string): Version | undefined => {
  const trimmed = text.trim();
  const start = trimmed.startsWith('v') || trimmed.startsWith('=') ? 1 : 0;
  const plus = trimmed.indexOf('+');
  const core = trimmed.slice(start, plus < 0 ? undefined : plus).trim();
  const hyphen = core.indexOf('-');
  const parts = (hyphen < 0 ? core : core.slice(0, hyphen)).split('.');
  const [major = '', minor = '', patch = ''] = parts;
  if (parts.length !== 3 || ![major, minor, patch].every((part) => number.test(part))) return undefined;
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    preRelease: hyphen < 0 ? [] : core.slice(hyphen + 1).split('.'),
  };
};

/** What `^` of npm keeps fixed: `1` of 1.2.3, `0.3` of 0.3.1, `0.0.3` of 0.0.3. */
export const majorOf = ({ major, minor, patch }: Version): string => {
  if (major > 0) return `${major}`;
  return minor > 0 ? `0.${minor}` : `0.0.${patch}`;
};

/** Semver 2.0.0, item 11.4. */
const compareIdentifiers = (left: string, right: string): number => {
  const [isNumber, isOtherNumber] = [digits.test(left), digits.test(right)];
  if (isNumber && isOtherNumber) return left.length - right.length || (left < right ? -1 : +(left > right));
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  return left < right ? -1 : +(left > right);
};

/** Below 0 when `left` comes before `right` (semver 2.0.0, item 11); build metadata does not count. */
export const compareVersions = (left: Version, right: Version): number => {
  const byNumber = left.major - right.major || left.minor - right.minor || left.patch - right.patch;
  if (byNumber !== 0) return byNumber;
  const [own, other] = [left.preRelease, right.preRelease];
  if (own.length === 0 || other.length === 0) return other.length - own.length;
  for (let index = 0; index < Math.min(own.length, other.length); index++) {
    const order = compareIdentifiers(own[index] ?? '', other[index] ?? '');
    if (order !== 0) return order;
  }
  return own.length - other.length;
};
