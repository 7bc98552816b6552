import type { Config } from '../config.ts';

/** Names and values, in turn. */
export type HeaderFields = readonly string[];

/** Answers are data: no browser is to run or load anything of them, nor to frame them. */
const dataPolicy = "default-src 'none'; frame-ancestors 'none'";

const yearSec = 31_536_000;

/**
 * What every answer carries, whatever it is; pages replace the policy by their own and add `pageFields`. Few, because
 * each is sent with each answer: what a browser does with a page alone stands with the pages.
 *
 * `nosniff` (fetch standard, 3.6) keeps data from being taken for a script or a page, the policy (CSP level 3) from being
 * run or framed where it is shown as one, and `Cross-Origin-Resource-Policy` from being loaded into the process of a
 * foreign page, which CORS does not see. Over TLS browsers are told to come by nothing else (RFC 6797).
 */
export const standingFields = ({ tlsCert }: Pick<Config, 'tlsCert'>): HeaderFields => [
  'X-Content-Type-Options',
  'nosniff',
  'Content-Security-Policy',
  dataPolicy,
  'Cross-Origin-Resource-Policy',
  'same-origin',
  ...(tlsCert === null ? [] : ['Strict-Transport-Security', `max-age=${yearSec}`]),
];

/** What a page carries beside its own policy: its window and its address are nobody else's. */
export const pageFields = {
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  // For browsers that do not know frame-ancestors.
  'x-frame-options': 'DENY',
} as const;
