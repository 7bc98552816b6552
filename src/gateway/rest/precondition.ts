import { invalidAt, ProblemError } from '../../errors.ts';
import { shapeFault } from './answer.ts';

/** The version that a writer expects to replace, and whether a header field said so (412) or the body (409). */
export type Precondition = { readonly expectedVersion: number; readonly inHeader: boolean };

/** An entity tag, and the version alone, which some clients send. */
const tag = /^(?:"(\d{1,15})"|(\d{1,15}))$/;

type Fields = { readonly 'if-match'?: string | undefined; readonly 'if-none-match'?: string | undefined };

/**
 * The precondition of a write (RFC 9110, section 13.1): `If-Match: "v"`, `If-None-Match: *` (version 0: there must be
 * none), or the body's `expectedVersion`; undefined when there is none.
 *
 * @throws {ProblemError} `invalid` for any other form, and when the header and the body differ.
 */
export const preconditionOf = (headers: Fields, inBody: unknown): Precondition | undefined => {
  const inHeader = headerVersion(headers);
  if (inHeader === undefined) {
    // What the body says otherwise than as a number, the command's schema refuses.
    return typeof inBody === 'number' ? { expectedVersion: inBody, inHeader: false } : undefined;
  }
  if (inBody !== undefined && inBody !== inHeader) {
    throw shapeFault('/expectedVersion', 'is not what If-Match or If-None-Match says');
  }
  return { expectedVersion: inHeader, inHeader: true };
};

const headerVersion = (headers: Fields): number | undefined => {
  const match = headers['if-match'];
  const noneMatch = headers['if-none-match'];
  if (match === undefined && noneMatch === undefined) return undefined;
  if (match !== undefined && noneMatch !== undefined) {
    throw headerFault('If-Match', 'and If-None-Match exclude one another');
  }
  if (noneMatch !== undefined) {
    if (noneMatch.trim() === '*') return 0;
    throw headerFault('If-None-Match', 'of a write must be *');
  }
  const [, quoted, bare] = tag.exec(match?.trim() ?? '') ?? [];
  const version = quoted ?? bare;
  if (version === undefined) throw headerFault('If-Match', 'must be one version, as "7"');
  return Number(version);
};

const headerFault = (name: string, detail: string): ProblemError =>
  new ProblemError(invalidAt(`/${name}`, detail));

export const entityTag = (version: number): string => `"${version}"`;

/** True when `If-None-Match` of a read names the version that the client would get (weak comparison). */
export const isFresh = (ifNoneMatch: string | undefined, version: number): boolean => {
  if (ifNoneMatch === undefined) return false;
  const current = entityTag(version);
  return ifNoneMatch.split(',').some((part) => {
    const candidate = part.trim();
    return candidate === '*' || candidate === current || candidate === `W/${current}`;
  });
};
