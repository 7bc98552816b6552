/** RFC 3986 by its grammar: ASCII only, percent-encoding whole. Each class excludes what may stand behind it, so that a text is walked once. */
const unreserved = 'A-Za-z0-9._~\\-';
const subDelims = "!$&'()*+,;=";
const encoded = '%[0-9A-Fa-f]{2}';
const pchar = `(?:[${unreserved}${subDelims}:@]|${encoded})`;
const scheme = '[A-Za-z][A-Za-z0-9+.-]*:';
const userinfo = `(?:[${unreserved}${subDelims}:]|${encoded})*@`;
const host = `(?:\\[[0-9A-Za-z.:_~-]*\\]|(?:[${unreserved}${subDelims}]|${encoded})*)`;
const authority = `//(?:${userinfo})?${host}(?::[0-9]*)?(?=[/?#]|$)`;
const path = `(?:${pchar}|/)*`;
const rest = `(?:\\?(?:${pchar}|[/?])*)?(?:#(?:${pchar}|[/?])*)?`;
const hierarchy = `(?:${authority}|(?!//))${path}${rest}`;

const uriForm = new RegExp(`^${scheme}${hierarchy}$`);
/** Without a scheme the first segment has no colon. */
const relativeForm = new RegExp(`^(?![^/?#]*:)${hierarchy}$`);

/** A URI with a scheme; a fragment may follow. */
export const isUri = (text: string): boolean => uriForm.test(text);

export const isUriReference = (text: string): boolean => uriForm.test(text) || relativeForm.test(text);
